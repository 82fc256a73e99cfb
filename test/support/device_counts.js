// A reporter of jest: how many tests passed and failed on each device, by the name that onEveryDevice gives them. In a run with
// MGLMM_TEST_RESULTS, a path, the counts and what failed, with the beginning of its message, are written there after each file.
const { writeFileSync } = require('node:fs');
const { relative } = require('node:path');

const beginning = (messages) => messages.map((message) => message.slice(0, 1500));

module.exports = class {
  #counts = new Map();
  #files = 0;
  #failures = [];

  onTestResult({ path }, { testResults, testExecError }) {
    const file = relative(process.cwd(), path);
    this.#files++;
    if (testExecError) this.#failures.push({ file, messages: beginning([testExecError.message]) });
    for (const { ancestorTitles, status, fullName, failureMessages } of testResults) {
      if (status === 'failed') this.#failures.push({ file, test: fullName, messages: beginning(failureMessages) });
      const device = ancestorTitles.join(' ').match(/ on (cpu|cuda:\d+)$/)?.[1];
      if (!device) continue;
      const counts = this.#counts.get(device) ?? { passed: 0, failed: 0 };
      if (status === 'passed' || status === 'failed') counts[status]++;
      this.#counts.set(device, counts);
    }
    const results = { files: this.#files, devices: Object.fromEntries(this.#counts), failures: this.#failures };
    if (process.env.MGLMM_TEST_RESULTS) writeFileSync(process.env.MGLMM_TEST_RESULTS, `${JSON.stringify(results, null, 2)}\n`);
  }

  onRunComplete() {
    for (const [device, counts] of [...this.#counts].sort()) {
      const parts = Object.entries(counts).map(([what, count]) => `${count} ${what}`);
      console.log(`on ${device}: ${parts.join(', ')}`);
    }
  }
};
