/**
 * The space between text before and behind a tag. A tokenizer drops the white space on both sides of a tag, so that
 * `</p> [SEG].` and `</p> [SEG] .` are the same ids: from ids, what was written must be guessed.
 */

/** Attach to what stands before. */
const closing = /^[.,;:!?…%)\]}»”’'、。，．：；！？）］｝」』】〉》]/u;
/** Attach to what stands behind. */
const opening = /[([{«“‘（［｛「『【〈《]$/u;
/** Written without spaces between words. */
const unspaced = '[\\p{Script=Han}\\p{Script=Hiragana}\\p{Script=Katakana}\\u3000-\\u303f\\uff00-\\uff65]';
const unspacedEnd = new RegExp(`${unspaced}$`, 'u');
const unspacedStart = new RegExp(`^${unspaced}`, 'u');

/**
 * @param before - The last two UTF-16 units of what is written so far; fewer at its beginning.
 * @param quoting - Whether a `"` is open there: quotes that are the same on both sides open and close in turn.
 * @param after - What comes, of which the first character counts.
 */
export function gap(before: string, quoting: boolean, after: string): '' | ' ' {
  if (before === '' || /\s$/.test(before) || closing.test(after)) return '';
  if (opening.test(before) || /\S[-/]$/.test(before)) return '';
  if (unspacedEnd.test(before) && unspacedStart.test(after)) return '';
  if (after.startsWith('"') || before.endsWith('"')) return quoting ? '' : ' ';
  return ' ';
}
