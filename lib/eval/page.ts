/** A page of an evaluation: its scores, and of each task the worst and the best answers with their pictures, truth beside answer. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DecodePool } from '../data/decode_pool';
import type { Dataset } from '../data/sample';
import { AbortedError } from '../errors';
import type { RgbImage } from '../image/decode';
import { drawOverlay } from '../image/overlay';
import { parseSegCap, type Span } from '../text/segcap';
import { script, style } from './page_style';
import { colorsOf, drawTurn } from './pictures';
import type { AnsweredTurn, SampleRecord } from './record';
import type { EvaluationScores } from './scores';

export interface PageOptions {
  readonly title: string;
  /** A line under the title. */
  readonly about: string;
  /** Answers of each task from either end that are shown; default 12. */
  readonly shown?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: { done: number; total: number }) => void;
}

interface Card {
  readonly record: SampleRecord;
  readonly at: number;
  readonly turn: AnsweredTurn;
  readonly value: number;
}

/** The worst and the best of a task: never more than twice `shown` of them are held. */
class Ends {
  readonly #shown: number;
  #worst: Card[] = [];
  #best: Card[] = [];

  constructor(shown: number) {
    this.#shown = shown;
  }

  add(card: Card): void {
    this.#worst = [...this.#worst, card].sort((a, b) => a.value - b.value).slice(0, this.#shown);
    this.#best = [...this.#best, card].sort((a, b) => b.value - a.value).slice(0, this.#shown);
  }

  get cards(): Card[] {
    return [...new Set([...this.#worst, ...this.#best])];
  }
}

/**
 * Writes `index.html` and the folder `pictures` beside it.
 * @param parts - the data sets of the records, for their pictures.
 * @returns the path of the page.
 */
export async function writePage(
  folder: string,
  records: AsyncIterable<SampleRecord>,
  parts: readonly Dataset[],
  scores: EvaluationScores,
  { title, about, shown = 12, signal, onProgress }: PageOptions,
): Promise<string> {
  const tasks = new Map<string, Ends>();
  for await (const record of records) {
    for (const [at, turn] of record.turns.entries()) {
      const ends = tasks.get(record.task) ?? new Ends(shown);
      tasks.set(record.task, ends);
      ends.add({ record, at, turn, value: turn.value ?? 0 });
    }
  }
  const cards = [...tasks.values()].flatMap(({ cards }) => cards).sort((a, b) => a.value - b.value);
  await mkdir(join(folder, 'pictures'), { recursive: true });
  const pool = new DecodePool(1);
  const articles: string[] = [];
  try {
    for (const [i, card] of cards.entries()) {
      if (signal?.aborted) throw new AbortedError('evaluation: aborted', { cause: signal.reason });
      articles.push(await articleOf(folder, card, await pictureOf(parts, card.record, pool)));
      onProgress?.({ done: i + 1, total: cards.length });
    }
  } finally {
    await pool.close();
  }
  const path = join(folder, 'index.html');
  const names = scores.tasks.map(({ task }) => task).filter((task) => tasks.has(task));
  await writeFile(path, pageOf({ title, about, scores, tasks: names, articles }));
  return path;
}

async function pictureOf(parts: readonly Dataset[], { part, index }: SampleRecord, pool: DecodePool): Promise<RgbImage | undefined> {
  const sample = await parts[part]?.get(index);
  const result = await pool.decode({ image: sample?.image, masks: [] });
  return 'decoded' in result ? result.decoded.image : undefined;
}

async function articleOf(folder: string, { record, at, turn, value }: Card, image: RgbImage | undefined): Promise<string> {
  const [reference, colors] = [parseSegCap(turn.truth), colorsOf(turn)];
  const truth = paragraph(
    reference.text,
    reference.segments.map(({ span }) => span),
    colors.truth,
  );
  const answer = paragraph(
    turn.answer,
    turn.segments.map(({ span }) => span),
    colors.answer,
  );
  const name = `pictures/${record.part}-${record.index}-${at}`;
  const file = async (suffix: string, bytes: Uint8Array) => {
    await writeFile(join(folder, `${name}${suffix}.jpg`), bytes);
    return `<img src="${name}${suffix}.jpg" loading="lazy" alt="">`;
  };
  const flags = [
    turn.error,
    turn.finish === 'length' ? 'the answer was cut off' : undefined,
    turn.repairs.length > 0 ? `malformed: ${turn.repairs.join(', ')}` : undefined,
  ].filter((flag) => flag !== undefined);
  const flagged = flags.map((flag) => `<p class="flag">${escaped(flag)}</p>`).join('');
  let body: string;
  if (!image) body = `<p class="flag">the picture cannot be read</p>${truth}${answer}`;
  else if (turn.truthMasks.length === 0 && turn.segments.length === 0) {
    const shown = await file('', await drawOverlay(image, [], { format: 'jpeg' }));
    body = `<div class="single"><figure>${shown}</figure><div><figcaption>truth</figcaption>${truth}<figcaption>answer</figcaption>${answer}${flagged}</div></div>`;
  } else {
    const drawn = await drawTurn(image, turn);
    const [wanted, given] = [await file('-truth', drawn.truth), await file('-answer', drawn.answer)];
    body = `<div class="pair"><figure>${wanted}<figcaption>truth</figcaption>${truth}</figure><figure>${given}<figcaption>answer</figcaption>${answer}${flagged}</figure></div>`;
  }
  const hue = Math.round(120 * value); // red to green
  return `<article data-task="${escaped(record.task)}" data-value="${value}"><div class="question"><span class="value" style="background:hsl(${hue} 60% 38%)">${hundredths(value)}</span><p>${escaped(turn.question)}</p><small>${escaped(record.task)} · ${escaped(record.id)}</small></div>${body}</article>`;
}

/** The text with its phrases underlined in the colours of their masks. */
function paragraph(text: string, spans: readonly Span[], colors: readonly (readonly number[])[]): string {
  if (text === '' && spans.length === 0) return '<p class="none">nothing</p>';
  const marks = spans.map((span, i) => ({ span, color: colors[i] ?? [] })).sort((a, b) => a.span[0] - b.span[0]);
  let [html, done] = ['', 0];
  for (const { span, color } of marks) {
    const [from, to] = [Math.max(done, span[0]), span[1]];
    if (to < from) continue;
    const phrase = text.slice(from, to) || '▢'; // a mask that was not named
    html += `${escaped(text.slice(done, from))}<mark style="border-color:rgb(${color.join(' ')})">${escaped(phrase)}</mark>`;
    done = to;
  }
  return `<p>${html}${escaped(text.slice(done))}</p>`;
}

interface Page {
  readonly title: string;
  readonly about: string;
  readonly scores: EvaluationScores;
  readonly tasks: readonly string[];
  readonly articles: readonly string[];
}

function pageOf({ title, about, scores, tasks, articles }: Page): string {
  const metric = ([name, value]: [string, number]) =>
    `<span class="metric"><span>${escaped(name)}</span><b>${hundredths(value)}</b></span>`;
  const rows = scores.tasks.map(
    ({ task, turns, metrics }) =>
      `<tr><th>${escaped(task)}</th><td>${turns}</td><td>${Object.entries(metrics).map(metric).join('')}</td></tr>`,
  );
  const buttons = ['', ...tasks].map(
    (task) => `<button data-show="${escaped(task)}" aria-pressed="${task === ''}">${escaped(task || 'all tasks')}</button>`,
  );
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escaped(title)}</title><style>${style}</style></head>
<body><header><h1>${escaped(title)}</h1><p class="about">${escaped(about)}<br>${escaped(countsOf(scores))}. Scores are times 100.</p>
<table class="scores">${rows.join('\n')}</table></header>
<main><nav>${buttons.join('')}<span class="order"><button data-order="1" aria-pressed="true">worst first</button><button data-order="-1" aria-pressed="false">best first</button></span></nav>
<div id="cards">
${articles.join('\n')}
</div></main><script>${script}</script></body></html>
`;
}

/** How many, and what went wrong, in one line. */
export function countsOf({ samples, turns, faults, unanswered, cut, malformed }: EvaluationScores): string {
  const bad: [number, string][] = [
    [faults, 'samples left out for their faults'],
    [unanswered, 'questions refused'],
    [cut, 'answers cut off'],
    [malformed, 'answers malformed'],
  ];
  return [`${samples} samples, ${turns} answers`, ...bad.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`)].join(
    ', ',
  );
}

/** A score as tables show it. */
export const hundredths = (value: number): string => (Number.isNaN(value) ? '–' : (100 * value).toFixed(1));

const escaped = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
