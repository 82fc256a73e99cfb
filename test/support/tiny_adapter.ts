/** Adapters of the golden tiny model, random and large enough to be heard. */
import { nn, Scope, type Tensor, tensor, writeAdapter } from '../../lib';
import { randn } from './data';
import { loadGolden, type MglmmGolden } from './mglmm_golden';

/** What `mglmm train` writes of the published choice. */
export const published = /^model\.(embed_tokens|mm_projector|text_hidden_fcs)\.|^lm_head\.|\.mask_decoder\./;

/**
 * Writes an adapter into `folder`: LoRA on q_proj and v_proj of the language model, and the weights that match `whole`, each the
 * golden's and something.
 */
export async function writeTinyAdapter(
  golden: MglmmGolden,
  folder: string,
  { seed, whole = /^$/, layers = /^model\.layers\.\d\.self_attn\.[qv]_proj$/ }: { seed: number; whole?: RegExp; layers?: RegExp },
): Promise<string> {
  const model = await loadGolden(golden);
  using _scope = Scope.open();
  nn.addLoraTo(model, (key) => layers.test(key), { rank: 2, alpha: 4 });
  const changed = new Map<string, Tensor>();
  const random = async (key: string, { shape }: Tensor, by: number) => {
    const before = key.includes('lora') ? undefined : await (model.stateDict().get(key) as Tensor).read();
    const noise = await randn(shape, seed + changed.size).read();
    const values = Float32Array.from(noise, (value, i) => (before?.[i] ?? 0) + by * value);
    changed.set(key, tensor(values, shape));
  };
  for (const [key, parameter] of model.namedParameters()) {
    if (key.includes('lora_')) await random(key, parameter, 0.3);
    else if (whole.test(key)) await random(key, parameter, 0.02);
  }
  const keys = [...changed.keys()];
  model.loadSome(changed);
  await writeAdapter(folder, model, { whole: keys });
  model.dispose();
  return folder;
}
