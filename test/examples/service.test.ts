import { strict as assert } from 'node:assert';
import { afterAll, beforeAll, describe, test } from '@jest/globals';
import type { FastifyInstance } from 'fastify';
import { service } from '../../examples/service';
import { AbortedError, type Answer, type AnswerEvent, type AnswerRequest, Mglmm, type Rle } from '../../lib';
import { type MglmmGolden, mglmmGoldens } from '../support/mglmm_golden';
import { picture } from '../support/picture';
import { encodePng } from '../support/png';
import { tinyModel } from '../support/tiny_model';

/** An answer as it is sent. */
type Sent = Pick<Answer, 'text' | 'usage'> & { segments: { phrase: string; mask: { segmentation: Rle } }[]; error?: { code: string } };

const [golden] = mglmmGoldens() as [MglmmGolden];
const folder = tinyModel(golden);
const { data, width, height } = picture(44, 60);
const png = encodePng({ width, height, pixels: data });
const asked = { prompt: 'Where is it?', maxNewTokens: 20, forceSegmentation: true };
const withImage = { ...asked, image: png.toString('base64') };
let model: Mglmm;
let app: FastifyInstance;
let address: string;

/** Asked so, the model says a word and nothing more, until it is given up. */
const endless = 'Go on.';
const givenUp = new AbortController();
async function* endlessly(signal: AbortSignal): AsyncGenerator<AnswerEvent> {
  yield { type: 'token', id: 3, text: 'and', inPhrase: false };
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  givenUp.abort();
  throw new AbortedError('given up');
}

beforeAll(async () => {
  model = await Mglmm.load(folder.path);
  const watched = {
    answer: (request: AnswerRequest) => model.answer(request),
    stream: (request: AnswerRequest) => (request.prompt === endless ? endlessly(request.signal as AbortSignal) : model.stream(request)),
  };
  app = service(watched as unknown as Mglmm, { atMost: 2 });
  address = await app.listen({ port: 0, host: '127.0.0.1' });
});
afterAll(async () => {
  await app.close();
  await model.dispose();
  folder[Symbol.dispose]();
});

interface Question {
  readonly query?: Record<string, unknown>;
  readonly type?: string;
  readonly accept?: string;
  readonly signal?: AbortSignal;
}

/** JSON, unless the payload is bytes. */
function post(
  payload: object | Buffer,
  { query = {}, type = 'application/json', accept = '*/*', signal }: Question = {},
): Promise<Response> {
  const body = Buffer.isBuffer(payload) ? new Uint8Array(payload) : JSON.stringify(payload);
  const search = new URLSearchParams(Object.entries(query).map(([name, value]): [string, string] => [name, String(value)]));
  return fetch(`${address}/answer?${search}`, { method: 'POST', body, headers: { 'content-type': type, accept }, signal });
}

describe('examples/service.ts', () => {
  test('answers in JSON, with masks as COCO has them', async () => {
    const expected = await model.answer({ ...asked, image: { data, width, height } });
    const response = await post(withImage);
    const { text, segments, usage } = (await response.json()) as Sent;
    assert.deepEqual([response.status, text, usage.newTokens], [200, expected.text, expected.usage.newTokens]);
    assert.equal(
      JSON.stringify(segments.map(({ mask }) => mask.segmentation)),
      JSON.stringify(expected.segments.map(({ mask }) => mask.rle)),
    );
    const raw = await post(png, { query: asked, type: 'image/png' });
    assert.equal(((await raw.json()) as Sent).text, expected.text);
    const url = await post({ ...asked, image: `data:image/png;base64,${withImage.image}` });
    assert.equal(((await url.json()) as Sent).text, expected.text);
    assert.equal(await (await fetch(`${address}/health`)).text(), '{"status":"ok"}');
  });

  test('streams events as they come', async () => {
    const response = await post(withImage, { accept: 'text/event-stream' });
    assert.equal(response.headers.get('content-type'), 'text/event-stream');
    const events = (await response.text())
      .trimEnd()
      .split('\n\n')
      .map((block) => /^event: (\w+)\ndata: (.*)$/.exec(block) as RegExpExecArray);
    const sent = events.map(([, , json]) => JSON.parse(json as string) as { text?: string; answer?: Sent });
    const done = sent.at(-1)?.answer;
    assert.equal(sent.map(({ text = '' }) => text).join(''), done?.text);
    const types = events.map(([, type]) => type);
    assert.equal(types.filter((type) => type === 'mask').length, done?.segments.length);
    assert.equal(types.at(-1), 'done');
  });

  test('tells the caller what is the matter', async () => {
    const expectError = async (status: number, code: string, ...args: Parameters<typeof post>) => {
      const response = await post(...args);
      assert.deepEqual([response.status, ((await response.json()) as Sent).error?.code], [status, code]);
    };
    await expectError(400, 'MGLMM_IMAGE', { ...asked, image: Buffer.from('no picture').toString('base64') });
    await expectError(400, 'MGLMM_IMAGE', { ...asked, image: '/etc/passwd' });
    await expectError(400, 'FST_ERR_VALIDATION', asked);
    await expectError(400, 'FST_ERR_VALIDATION', { ...withImage, system: 'other' });
    await expectError(400, 'FST_ERR_VALIDATION', { ...withImage, temperature: -1 });
    await expectError(400, 'MGLMM_ARGUMENT', png, { type: 'image/png' });
    await expectError(415, 'FST_ERR_CTP_INVALID_MEDIA_TYPE', Buffer.from('x'), { type: 'application/xml' });
    await expectError(415, 'FST_ERR_CTP_INVALID_MEDIA_TYPE', Buffer.from('x'.repeat(1000)), { type: 'text/plain' });
    const empty = await fetch(`${address}/answer?prompt=x`, { method: 'POST' });
    assert.deepEqual([empty.status, ((await empty.json()) as Sent).error?.code], [400, 'MGLMM_ARGUMENT']);
    await expectError(413, 'FST_ERR_CTP_BODY_TOO_LARGE', Buffer.alloc(2 ** 25 + 1), { type: 'image/png' });
  });

  test('holds no more requests than it is told to', async () => {
    const client = new AbortController();
    const ask = () => post({ ...withImage, prompt: endless }, { accept: 'text/event-stream', signal: client.signal });
    const held = [await ask(), await ask()];
    assert.deepEqual(
      held.map(({ status }) => status),
      [200, 200],
    );
    const refused = await post(withImage);
    assert.deepEqual([refused.status, refused.headers.get('retry-after')], [503, '5']);
    assert.equal(((await refused.json()) as Sent).error?.code, 'BUSY');
    assert.equal((await fetch(`${address}/health`)).status, 200);
    client.abort();
    let again = await post(withImage);
    for (; again.status === 503; again = await post(withImage)) await new Promise((resolve) => setTimeout(resolve, 10));
    assert.equal(again.status, 200);
  });

  test('gives up the work of a client that goes', async () => {
    const client = new AbortController();
    const response = await post({ ...withImage, prompt: endless }, { accept: 'text/event-stream', signal: client.signal });
    const first = await response.body?.getReader().read();
    assert.match(Buffer.from(first?.value as Uint8Array).toString(), /^event: token\n/);
    client.abort();
    if (!givenUp.signal.aborted) await new Promise((resolve) => givenUp.signal.addEventListener('abort', resolve, { once: true }));
  });
});
