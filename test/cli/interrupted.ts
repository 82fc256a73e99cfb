/** `mglmm` that is interrupted as it begins, for test/cli/main.test.ts. */
import { interruptible, run } from '../../lib/cli/main';

void run(process.argv.slice(2), { out: process.stdout, err: process.stderr }, interruptible()).then((code) => {
  process.exitCode = code;
});
process.kill(process.pid, 'SIGINT');
