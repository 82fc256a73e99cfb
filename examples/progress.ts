/** Progress of a run: a bar that redraws itself on a terminal, a line now and then where the output goes to a file. */
export interface Progress {
  step: number;
  loss: number;
  iou: number | undefined;
  seconds: number;
}

const barWidth = 30;
const plainLines = 10;

export function reporter(steps: number): (progress: Progress) => void {
  return ({ step, loss, iou, seconds }) => {
    const agreement = iou === undefined ? '' : `  agreement ${(100 * iou).toFixed(0).padStart(2)} %`;
    const left = (seconds / step) * (steps - step);
    const figures = `${String(step).padStart(String(steps).length)}/${steps}  loss ${loss.toFixed(3)}${agreement}`;
    if (process.stdout.isTTY) {
      const filled = Math.round((barWidth * step) / steps);
      process.stdout.write(`\r\x1b[K${'█'.repeat(filled)}${'░'.repeat(barWidth - filled)} ${figures}  ${left.toFixed(0)} s left`);
      if (step === steps) process.stdout.write('\n');
    } else if (step % Math.ceil(steps / plainLines) === 0 || step === steps) {
      console.log(`step ${figures}  ${seconds.toFixed(1)} s`);
    }
  };
}
