/** The layers that models are composed of. */
export { chain } from './chain';
export { Conv2d, type Conv2dLayerOptions, ConvTranspose2d } from './conv';
export { Embedding } from './embedding';
export { Linear, type LinearOptions } from './linear';
export { LoraLinear, type LoraOptions } from './lora';
export { addLoraTo, loraLayers, mergeAllLora, removeLora } from './lora_layers';
export { Module, parameter } from './module';
export { LayerNorm, LayerNorm2d, type NormOptions, RmsNorm } from './norm';
export { type Layer, Sequential } from './sequential';
