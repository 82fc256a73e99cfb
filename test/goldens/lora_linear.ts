import { loraLinear, mergeLora, noGradients } from '../../lib';
import type { Golden } from '../support/golden';

export const golden: Golden = ({ x, weight, lora_A, lora_B }, { scaling }) => ({
  out: loraLinear(x!, weight!, lora_A!, lora_B!, { scaling: scaling as number }),
  merged: noGradients(() => mergeLora(weight!, lora_A!, lora_B!, scaling as number)),
});
