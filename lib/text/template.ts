/** How each family of models was trained to read a conversation: the templates of LLaVA's conversation.py, by their names there. */

export type TemplateName = 'llava_v1' | 'vicuna_v1' | 'llava_llama_2' | 'llama_2';

export interface Template {
  readonly system: string;
  /** `separators`: USER: and ASSISTANT: with </s> behind an answer; `instructions`: [INST] and [/INST]. */
  readonly form: 'separators' | 'instructions';
  /** What marks a turn or the system text. They are text and no tokens, so user text must not have them. */
  readonly markers: readonly string[];
}

const roles = ['USER:', 'ASSISTANT:'];
const instructions = ['[INST]', '[/INST]', '<<SYS>>', '<</SYS>>'];

export const templates: Readonly<Record<TemplateName, Template>> = {
  llava_v1: {
    system:
      'A chat between a curious human and an artificial intelligence assistant. ' +
      "The assistant gives helpful, detailed, and polite answers to the human's questions.",
    form: 'separators',
    markers: roles,
  },
  vicuna_v1: {
    system:
      'A chat between a curious user and an artificial intelligence assistant. ' +
      "The assistant gives helpful, detailed, and polite answers to the user's questions.",
    form: 'separators',
    markers: roles,
  },
  llava_llama_2: {
    system:
      'You are a helpful language and vision assistant. ' +
      'You are able to understand the visual content that the user provides, ' +
      'and assist the user with a variety of tasks using natural language.',
    form: 'instructions',
    markers: instructions,
  },
  llama_2: {
    // Two spaces before "Your": so it was published.
    system:
      'You are a helpful, respectful and honest assistant. Always answer as helpfully as possible, while being safe.  ' +
      'Your answers should not include any harmful, unethical, racist, sexist, toxic, dangerous, or illegal content. ' +
      'Please ensure that your responses are socially unbiased and positive in nature.\n\n' +
      'If a question does not make any sense, or is not factually coherent, explain why instead of answering something not correct. ' +
      "If you don't know the answer to a question, please don't share false information.",
    form: 'instructions',
    markers: instructions,
  },
};

/** Families that read an image; their names are those of lib/weights/layouts.ts. */
export type PromptFamily = 'mglmm' | 'glamm' | 'lisa' | 'llava' | 'llava-hf';

export interface PromptStyle {
  readonly template: TemplateName;
  /** What stands before the first question. */
  readonly imagePrefix: string;
}

const overview = 'The <image> provides an overview of the picture.\n';
const alone = '<image>\n';

export const promptStyles: Readonly<Record<PromptFamily, PromptStyle>> = {
  mglmm: { template: 'llava_v1', imagePrefix: overview },
  glamm: { template: 'llava_v1', imagePrefix: overview },
  lisa: { template: 'llava_v1', imagePrefix: alone },
  llava: { template: 'vicuna_v1', imagePrefix: alone },
  'llava-hf': { template: 'vicuna_v1', imagePrefix: alone },
};
