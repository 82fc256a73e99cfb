/** Text as it comes from tokens, a token at a time. */
export interface TextStream {
  /** The text that is certain once `id` has come; may be empty. */
  push(id: number): string;
}

/**
 * For the option `stop` of generate: ends a row with the token that completes one of `strings`.
 * @param newText - makes the text of a row.
 */
export function stopAtStrings(strings: readonly string[], newText: () => TextStream): () => (id: number) => boolean {
  const wanted = strings.filter((one) => one.length > 0);
  const kept = Math.max(0, ...wanted.map(({ length }) => length - 1));
  return () => {
    const text = newText();
    let tail = '';
    return (id) => {
      tail += text.push(id);
      const found = wanted.some((one) => tail.includes(one));
      tail = kept > 0 ? tail.slice(-kept) : '';
      return found;
    };
  };
}
