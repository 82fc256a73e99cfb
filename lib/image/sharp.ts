import type sharp from 'sharp';

/**
 * libvips, loaded with the first picture that needs it: a good part of what the package costs at its start, and of no use to
 * programs that bring pixels.
 */
export const loadSharp = (): typeof sharp => require('sharp') as typeof sharp;
