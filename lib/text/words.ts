/** Text in the form in which pieces are written, and cut into words where that changes nothing. */

/** Stands for a space inside pieces: U+2581. */
export const spaceMark = '\u2581';

/** Whether `piece` has a space after another character: then what is merged depends on the next word too. */
export function spansWords(piece: string): boolean {
  const space = piece.lastIndexOf(spaceMark);
  return space > 0 && piece.slice(0, space) !== spaceMark.repeat(space);
}

/** Half a surrogate pair is no character; the mark itself is a space too. */
const spaced = (text: string): string => text.replace(/\p{Cs}/gu, '\uFFFD').replaceAll(spaceMark, ' ');

/** All of a text, with a space before it. */
export const marked = (text: string): string => spaceMark + spaced(text).replaceAll(' ', spaceMark);

/** The words of a text, each with all spaces before it; the first has one more. Joined they are `marked`. */
export function* wordsOf(text: string): Generator<string> {
  let marks = '';
  for (const word of spaced(text).split(' ')) {
    marks += spaceMark;
    if (word === '') continue;
    yield marks + word;
    marks = '';
  }
  if (marks !== '') yield marks;
}
