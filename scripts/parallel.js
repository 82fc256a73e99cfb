// Runs commands of lint and checks, as many at once as there are cores, and keeps what they print.
const { spawn } = require('node:child_process');
const { availableParallelism } = require('node:os');
const { join } = require('node:path');

const root = join(__dirname, '..');

/** Runs a command to its end; what it printed, and whether it exited with 0. */
function run(command, args) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: root });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (text) => {
        output += text;
      });
    }
    child.on('error', (error) => resolve({ passed: false, output: error.message }));
    child.on('close', (code) => resolve({ passed: code === 0, output }));
  });
}

/** `command(item)` gives [command, args] of each item; passed when all are, with the output of those that are not, and of all. */
async function runAll(items, command) {
  const waiting = [...items];
  const outputs = [];
  const all = [];
  const worker = async () => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) {
      const { passed, output } = await run(...command(item));
      all.push(output);
      if (!passed) outputs.push(output);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  return { passed: outputs.length === 0, output: outputs.join('\n'), all: all.join('\n') };
}

module.exports = { root, run, runAll };
