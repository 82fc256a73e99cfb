import { sides } from '../sides';

export default sides({ op: 'quickGelu', shape: [577, 4096], torch: 'x * torch.sigmoid(1.702 * x)' });
