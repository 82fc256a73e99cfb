import { join } from 'node:path';

/**
 * Folder of `mglmm-tiny`, the model that comes with the package: it knows the made-up pictures of docs/scenes.md and nothing else.
 * How it was made is in its README.
 */
export const defaultModel = join(__dirname, '../../models/mglmm-tiny');
