/**
 * A model behind a route of fastify: a picture and a question in, text and masks out, whole or as they come.
 *
 *   npx tsx examples/service.ts MODEL [PORT]
 *
 *   curl -H 'content-type: image/jpeg' --data-binary @photo.jpg 'localhost:3000/answer?prompt=What+is+this%3F'
 *   curl -N -H 'accept: text/event-stream' -H 'content-type: application/json' \
 *     -d '{"prompt": "What is this?", "image": "BASE64"}' localhost:3000/answer
 *
 * What clients send is taken for the bytes of a picture, never for a path or an address. Work for a client that goes is given up.
 */
import { Readable } from 'node:stream';
import fastify, { type FastifyInstance, type FastifyReply } from 'fastify';
import { AbortedError, type AnswerStream, ArgumentError, decodeImage, Mglmm, MglmmError } from '../lib';

const maxBodyBytes = 32 * 2 ** 20;
const maxPixels = 50e6;

interface Asked {
  prompt: string;
  maxNewTokens?: number;
  temperature?: number;
  seed?: number;
  constrained?: boolean;
  forceSegmentation?: boolean;
}

const asked = {
  prompt: { type: 'string', minLength: 1, maxLength: 4000 },
  maxNewTokens: { type: 'integer', minimum: 1, maximum: 2048 },
  temperature: { type: 'number', minimum: 0, maximum: 2 },
  seed: { type: 'integer', minimum: 0 },
  constrained: { type: 'boolean' },
  forceSegmentation: { type: 'boolean' },
} as const;
const json = {
  type: 'object',
  required: ['prompt', 'image'],
  properties: { ...asked, image: { type: 'string', minLength: 1 } },
  additionalProperties: false,
} as const;
const schema = {
  querystring: { type: 'object', properties: asked, additionalProperties: false },
  body: { content: { 'application/json': { schema: json } } },
} as const;

interface Route {
  Querystring: Asked;
  /** A picture, of which the query says what is asked; or all of it, the picture in base64. */
  Body: Buffer | (Asked & { image: string });
}

/**
 * The model is yours to dispose, after the service was closed.
 * @param options - `atMost` requests are held at once, each with its picture of up to 150 MB; others are told to come again.
 */
export function service(model: Mglmm, { logger = false, atMost = 16 }: { logger?: boolean; atMost?: number } = {}): FastifyInstance {
  const app = fastify({
    logger,
    bodyLimit: maxBodyBytes,
    forceCloseConnections: true,
    ajv: { customOptions: { removeAdditional: false } },
  });
  app.removeContentTypeParser('text/plain'); // text would be read, and is nothing that is asked for
  app.addContentTypeParser(/^image\//, { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  app.setErrorHandler(answerError);
  let held = 0;
  app.addHook('onRequest', ({ method }, reply, done) => {
    if (method !== 'POST') return done();
    if (held >= atMost) {
      const error = { code: 'BUSY', message: `${atMost} requests are being answered` };
      return void reply.status(503).header('retry-after', '5').send({ error });
    }
    held++;
    reply.raw.once('close', () => held--);
    done();
  });
  app.get('/health', () => ({ status: 'ok' }));
  app.post<Route>('/answer', { schema }, async ({ body, query, headers }, reply) => {
    if (!body) throw new ArgumentError('the body is empty, expected a picture, or JSON with the picture as image');
    const { image, ...options } = Buffer.isBuffer(body) ? { ...query, image: body } : { ...body, image: bytesOf(body.image) };
    const signal = whileConnected(reply);
    const request = { ...options, image: await decodeImage(image, { maxPixels, signal }), signal };
    if (!headers.accept?.includes('text/event-stream')) return model.answer(request);
    const events = Readable.from(serverSentEvents(model.stream(request)));
    return reply.type('text/event-stream').header('cache-control', 'no-store').send(events);
  });
  return app;
}

/** With or without the beginning of a data URL. */
const bytesOf = (base64: string) => Buffer.from(base64.replace(/^data:[^,]*,/, ''), 'base64');

/** Fires when the client goes before it has its answer. */
function whileConnected({ raw }: FastifyReply): AbortSignal {
  const controller = new AbortController();
  raw.once('close', () => {
    if (!raw.writableFinished) controller.abort();
  });
  return controller.signal;
}

/** Each event of the answer under its type; a mask as COCO's annotations have it. An error is the last of them. */
async function* serverSentEvents(events: AnswerStream): AsyncGenerator<string> {
  try {
    for await (const event of events) yield `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
  } catch (error) {
    if (error instanceof AbortedError) return;
    yield `event: error\ndata: ${JSON.stringify(describe(error))}\n\n`;
  }
}

/** What went wrong, as far as it is the client's to know. */
function describe(error: unknown): { code: string; message: string } {
  if (error instanceof MglmmError) return { code: error.code, message: error.message };
  return { code: 'INTERNAL', message: 'the request failed' };
}

const statuses: Readonly<Record<string, number>> = {
  MGLMM_ARGUMENT: 400,
  MGLMM_IMAGE: 400,
  MGLMM_LENGTH: 400,
  MGLMM_ABORTED: 499, // nobody reads it
  MGLMM_DISPOSED: 503,
  MGLMM_OUT_OF_MEMORY: 503,
};

function answerError(
  error: Error & { statusCode?: number; code?: string },
  { log }: { log: FastifyInstance['log'] },
  reply: FastifyReply,
): void {
  const isOurs = error instanceof MglmmError;
  const status = isOurs ? (statuses[error.code] ?? 500) : (error.statusCode ?? 500);
  if (status >= 500) log.error(error);
  const told = isOurs || status >= 500 ? describe(error) : { code: error.code ?? 'REQUEST', message: error.message };
  void reply.status(status).send({ error: told });
}

async function main(): Promise<void> {
  const [folder, port = '3000'] = process.argv.slice(2);
  if (!folder) throw new Error('expected the folder of a model');
  const model = await Mglmm.load(folder, { onProgress: ({ phase, loaded, total }) => console.log(`${phase} ${loaded} of ${total} bytes`) });
  const app = service(model, { logger: true });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      void app.close().then(() => model.dispose());
    });
  }
  await app.listen({ port: Number(port), host: '127.0.0.1' });
}

if (require.main === module) {
  main().catch((error: unknown) => {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  });
}
