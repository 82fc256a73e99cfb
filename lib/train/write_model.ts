/** A model that was trained, as a folder that can be opened like any other: its LoRA is taken up into the weights. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { mergeAllLora } from '../nn/lora_layers';
import { writeModelFolder } from '../weights/convert';
import { tokenizerFilesIn } from '../weights/model_folder';
import { computedToWrite } from '../weights/stored_pieces';
import type { OpenedModel } from './open_model';

/** Folds the LoRA of `opened` into its weights and writes all of them into a new folder. */
export async function writeTrainedModel(folder: string, { model, speech, tokenizerPath, family, configFiles }: OpenedModel): Promise<void> {
  model.train(() => false);
  mergeAllLora(model);
  const tensors = Array.from(model.namedParameters(), ([key, tensor]) =>
    computedToWrite(key, tensor.shape, tensor.dtype, () => Promise.resolve(tensor)),
  );
  const { version } = JSON.parse(await readFile(join(__dirname, '../../package.json'), 'utf8')) as { version: string };
  const { llama, clip, sam } = model.config;
  const fields = (config: object | undefined) => (config ? { ...config } : undefined);
  const tokenizer = tokenizerFilesIn(await readdir(tokenizerPath)).map((file) => join(tokenizerPath, file));
  await writeModelFolder(folder, tensors, {
    family,
    template: speech.style.template,
    config: { llama: fields(llama), clip: fields(clip), sam: fields(sam) },
    files: [...tokenizer, ...configFiles],
    version,
  });
}
