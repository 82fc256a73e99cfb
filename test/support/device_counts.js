// A reporter of jest: how many tests passed and failed on each device, by the name that onEveryDevice gives them.
module.exports = class {
  #counts = new Map();

  onTestResult(_test, { testResults }) {
    for (const { ancestorTitles, status } of testResults) {
      const device = ancestorTitles.join(' ').match(/ on (cpu|cuda:\d+)$/)?.[1];
      if (!device) continue;
      const counts = this.#counts.get(device) ?? { passed: 0, failed: 0 };
      if (status === 'passed' || status === 'failed') counts[status]++;
      this.#counts.set(device, counts);
    }
  }

  onRunComplete() {
    for (const [device, counts] of [...this.#counts].sort()) {
      const parts = Object.entries(counts).map(([what, count]) => `${count} ${what}`);
      console.log(`on ${device}: ${parts.join(', ')}`);
    }
  }
};
