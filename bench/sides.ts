/** Cases of an op in f32 and bf16: forward, and backward alone, PyTorch's by autograd.grad over a graph it keeps; or both in one. */
import { backward, type Dtype, type Tensor } from '../lib';
import { run } from '../lib/autograd/call';
import { tidy } from '../lib/tensor/scope';
import { normal, torchNormal } from './data';
import { type Case, pair, type Sides } from './harness';

export interface OpCase {
  /** Native name. */
  op: string;
  /** Shape of x and y. */
  shape: readonly number[];
  /** Other inputs by field name; `x` is made of `shape`. */
  others?: Record<string, readonly number[]>;
  /** Python of the forward, over the field names. */
  torch: string;
  /** Outputs of the forward that the backward reads. */
  saved?: readonly string[];
  /** Whether the backward reads `x`. Default true. */
  keepsInput?: boolean;
  dtypes?: readonly ('f32' | 'bf16')[];
}

const torchDtype = { f32: 'torch.float32', bf16: 'torch.bfloat16' } as const;
const bytesOf = { f32: 4, bf16: 2 } as const;

export function sides({ op, shape, others = {}, torch, saved = [], keepsInput = true, dtypes = ['f32', 'bf16'] }: OpCase): Case[] {
  const shapes: Record<string, readonly number[]> = { x: shape, ...others };
  const names = Object.keys(shapes);
  return dtypes.flatMap((dtype) => {
    const bytes = shape.reduce((product, size) => product * size, bytesOf[dtype]);
    const setup = names
      .map((name) => `${name} = torch.randn(${shapes[name]?.join(', ')}).to(${torchDtype[dtype]}).requires_grad_()`)
      .join('\n');
    return [
      pair(`${op} ${dtype} [${shape}]`, {
        ours: async () => {
          const fields = await inputs(shapes, dtype);
          return () => void run(op, fields);
        },
        torch: { setup, run: torch },
        bytes: 2 * bytes,
        goal: 1.0,
      }),
      pair(`${op} gradient ${dtype} [${shape}]`, {
        ours: async () => {
          const fields = await inputs(shapes, dtype);
          const dy = await normal(shape, dtype, 9);
          const kept = saved.length > 0 ? tidy(() => run(op, fields, ['y', ...saved])) : {};
          const { x, ...parameters } = fields;
          const given = { dy, ...parameters, ...(keepsInput ? { x } : {}), ...Object.fromEntries(saved.map((name) => [name, kept[name]])) };
          return () =>
            void run(
              `${op}Backward`,
              given,
              names.map((name) => `d${name}`),
            );
        },
        torch: {
          setup: `torch.set_grad_enabled(True)\n${setup}\ny = ${torch}\ndy = torch.randn_like(y)`,
          run: `torch.autograd.grad(y, (${names.join(', ')},), dy, retain_graph=True)`,
        },
        bytes: 3 * bytes,
        goal: 1.0,
      }),
    ];
  });
}

async function inputs(shapes: Record<string, readonly number[]>, dtype: Dtype): Promise<Record<string, Tensor>> {
  const made: Record<string, Tensor> = {};
  for (const [index, [name, shape]] of Object.entries(shapes).entries()) made[name] = await normal(shape, dtype, index + 1);
  return made;
}

export interface WithGradient extends Pick<Sides, 'flops'> {
  /** What is calculated, before `and its gradient`. */
  name: string;
  dtype: 'f32' | 'bf16';
  /** Of all inputs that get a gradient, by name. */
  inputs: Readonly<Record<string, readonly number[]>>;
  /** Of y. */
  output: readonly number[];
  /** Makes what y reads besides the inputs, gives the function that calculates y. */
  ours: () => (inputs: Record<string, Tensor>) => Tensor;
  /** Python of y, and what it reads besides the inputs. */
  torch: string;
  setup?: string;
  /** Bytes of the forward and backward; default inputs read twice and their gradients written, y written and dy read. */
  bytes?: number;
}

/** Forward and backward in one run, by autograd on both sides. */
export function withGradient({ name, dtype, inputs: shapes, output, ours, torch, setup = '', bytes, ...rest }: WithGradient): Case {
  const count = (shape: readonly number[]) => shape.reduce((product, size) => product * size, bytesOf[dtype]);
  const names = Object.keys(shapes);
  return pair(`${name} and its gradient, ${dtype}`, {
    ours: async () => {
      const calculate = ours();
      const given = await inputs(shapes, dtype);
      const dy = await normal(output, dtype, 9);
      for (const tensor of Object.values(given)) tensor.requiresGrad = true;
      return () => {
        backward(calculate(given), dy);
        for (const tensor of Object.values(given)) {
          tensor.grad?.dispose();
          tensor.grad = undefined;
        }
      };
    },
    torch: {
      setup: [
        ...names.map((input) => `${input} = ${torchNormal(shapes[input] as number[], dtype)}.requires_grad_()`),
        `dy = ${torchNormal(output, dtype)}`,
        setup,
      ].join('\n'),
      run: `with torch.enable_grad():\n    torch.autograd.grad(${torch}, (${names.join(', ')},), dy)`,
    },
    bytes: bytes ?? 3 * Object.values(shapes).reduce((sum, shape) => sum + count(shape), 0) + 2 * count(output),
    ...rest,
  });
}
