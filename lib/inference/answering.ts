/** Questions to answers: tokens as they come, masks while the text goes on. Several questions share each pass through the weights. */
import { generate } from '../generate/generate';
import type { GenerateEvent, SamplingOptions } from '../generate/options';
import type { Answer, AnswerEvent } from './answer';
import { Conversation, readyPrompt } from './conversation';
import type { Engine } from './engine';
import { type Question, Row, type RowOptions } from './row';

export interface AnsweringOptions extends SamplingOptions, RowOptions {}

export interface RowEvent {
  readonly row: number;
  readonly event: AnswerEvent;
}

/** The answer to a single question, by its events. */
export async function* answeringOne(
  question: Question,
  options: AnsweringOptions,
  conversation?: Conversation,
): AsyncGenerator<AnswerEvent, Answer, undefined> {
  let answer: Answer | undefined;
  for await (const { event } of answering([question], options, conversation)) {
    if (event.type === 'done') answer = event.answer;
    yield event;
  }
  return answer as Answer;
}

type Next = { readonly token: IteratorResult<GenerateEvent, void> } | RowEvent;

/**
 * The events of all questions, those of each in order; its last is `done`. Leaving the loop gives up the rest.
 * @param questions - at least one; their engines are a model and its adapters.
 * @param conversation - of a single question, which it goes on with.
 */
export async function* answering(
  questions: readonly Question[],
  options: AnsweringOptions,
  conversation?: Conversation,
): AsyncGenerator<RowEvent, void, undefined> {
  const rows: Row[] = [];
  const [only] = questions.length === 1 ? questions : [];
  const alone = conversation ?? (only && new Conversation(only.engine, only.picture));
  let tokens: AsyncGenerator<GenerateEvent, void, undefined> | undefined;
  try {
    for (const question of questions) {
      const { engine, ids, picture } = question;
      const ready = await (alone?.ready(ids, options.signal) ?? readyPrompt(engine, picture, ids, options.signal));
      rows.push(new Row(question, ready, options));
    }
    tokens = tokensOf((questions[0] as Question).engine, rows, options);
    let token: Promise<Next> | undefined;
    let isMore = true;
    for (;;) {
      if (isMore) token ??= tokens.next().then((next) => ({ token: next }));
      // What is ready goes before the next token.
      const ready = rows.map((row, i) => row.waiting()?.then((event): Next => ({ row: i, event })));
      const waits = [...ready, token].filter((one) => one !== undefined);
      if (waits.length === 0) return;
      const next = await Promise.race(waits);
      if ('token' in next) {
        token = undefined;
        isMore = !next.token.done;
        if (next.token.done || next.token.value.type === 'prompt') continue;
        const { row } = next.token.value;
        for (const event of (rows[row] as Row).take(next.token.value)) yield { row, event };
      } else {
        (rows[next.row] as Row).told(next.event);
        if (next.event.type === 'done' && only) alone?.commit(only.ids, (rows[next.row] as Row).ids);
        yield next;
      }
    }
  } finally {
    await tokens?.return();
    for (const row of rows) row[Symbol.dispose]();
    if (!conversation) alone?.[Symbol.dispose]();
  }
}

function tokensOf(engine: Engine, rows: readonly Row[], { signal, maxNewTokens, ...sampling }: AnsweringOptions) {
  const { temperature, topK, topP, repetitionPenalty } = sampling;
  let begun = 0;
  const stop = () => {
    const row = rows[begun++] as Row; // asked for each row in order
    return (id: number) => row.stop(id);
  };
  return generate(
    engine.model,
    rows.map(({ prompt }) => prompt),
    {
      ...{ temperature, topK, topP, repetitionPenalty, maxNewTokens, signal, stop },
      eos: engine.tokenizer.eos,
      captureIds: engine.segId === undefined ? [] : [engine.segId],
    },
  );
}
