// One process at a time: a file that holds the number of the process that has it.
const { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } = require('node:fs');
const { dirname } = require('node:path');

const sleep = (ms) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);

function isRunning(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

/** The number in the file; undefined when it is gone by now. */
function holderOf(file) {
  try {
    return Number(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}

/** Runs `body` while no other process does under the same file. @param onWait - told the number of a process that is waited for. */
function underLock(file, onWait, body) {
  mkdirSync(dirname(file), { recursive: true });
  const own = `${file}.${process.pid}`;
  writeFileSync(own, String(process.pid));
  try {
    for (let told; ; sleep(200)) {
      try {
        linkSync(own, file); // with its content at once
        break;
      } catch (error) {
        if (error.code !== 'EEXIST') throw error;
      }
      const holder = holderOf(file);
      if (holder === undefined) continue;
      if (!isRunning(holder)) rmSync(file, { force: true });
      else if (told !== holder) onWait(holder);
      told = holder;
    }
  } finally {
    rmSync(own, { force: true });
  }
  const release = () => {
    if (holderOf(file) === process.pid) rmSync(file, { force: true });
  };
  process.once('exit', release); // process.exit within the body too
  try {
    return body();
  } finally {
    process.removeListener('exit', release);
    release();
  }
}

module.exports = { underLock };
