/** Every file of MGLMM_GOLDEN/mglmm-tiny/checkpoints/broken is refused with a typed error that names the problem. */
import { strict as assert } from 'node:assert';
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from '@jest/globals';
import { CheckpointError, layoutOf, loadModule, MglmmError, memory, openCheckpoint, Scope } from '../../lib';
import { goldenFolder } from '../support/golden';
import { AnyModule, temporaryFolder } from '../support/weights';

const folder = join(goldenFolder, 'mglmm-tiny/checkpoints/broken');

interface Broken {
  readonly file?: string;
  readonly overlay?: string;
  readonly base?: string;
  readonly valid?: boolean;
  readonly executes?: boolean;
  readonly warning?: boolean;
  readonly must_name?: string;
  readonly replace?: Readonly<Record<string, string>>;
  readonly remove?: readonly string[];
  readonly index_set?: Readonly<Record<string, string>>;
  readonly index_remove?: readonly string[];
}

const entries = JSON.parse(readFileSync(join(folder, 'broken.json'), 'utf8')) as Broken[];
const files = entries.filter((entry) => entry.file !== undefined);
const overlays = entries.filter((entry) => entry.overlay !== undefined);
const executed = 'PICKLE_WAS_EXECUTED';

async function readAll(path: string): Promise<void> {
  using _scope = Scope.open();
  const checkpoint = await openCheckpoint(path);
  for (const name of checkpoint.names) await (await checkpoint.load(name)).read();
}

describe('broken files', () => {
  test('are there', () => assert.ok(files.length > 0 && overlays.length > 0));

  for (const { file = '', valid, executes } of files) {
    test(`${file} is ${valid ? 'read' : 'refused'}`, async () => {
      rmSync(executed, { force: true });
      const before = memory().peakBytes;
      if (valid) return readAll(join(folder, file));
      await assert.rejects(readAll(join(folder, file)), (error: unknown) => {
        assert.ok(error instanceof CheckpointError, String(error));
        assert.ok(error.message.includes(file), error.message);
        assert.equal(error.code, executes ? 'MGLMM_CHECKPOINT_UNSAFE' : error.code);
        assert.match(error.code, /^MGLMM_CHECKPOINT_(FORMAT|UNSAFE)$/);
        return true;
      });
      assert.ok(memory().peakBytes - before < 1024 * 1024, 'memory was taken for it');
      assert.ok(!existsSync(executed), 'the pickle ran');
    });
  }
});

/** The base folder with the changes of an entry. */
function overlaid({ base = '', replace = {}, remove = [], index_set = {}, index_remove = [] }: Broken, path: string): void {
  cpSync(join(folder, base), path, { recursive: true });
  for (const [target, source] of Object.entries(replace)) cpSync(join(folder, source), join(path, target));
  for (const file of remove) rmSync(join(path, file));
  if (Object.keys(index_set).length + index_remove.length === 0) return;
  const file = join(path, 'model.safetensors.index.json');
  const index = JSON.parse(readFileSync(file, 'utf8')) as { weight_map: Record<string, string> };
  Object.assign(index.weight_map, index_set);
  for (const name of index_remove) delete index.weight_map[name];
  writeFileSync(file, JSON.stringify(index));
}

describe('broken folders', () => {
  const shapes = async (path: string) => {
    const checkpoint = await openCheckpoint(path);
    const { keyOf } = layoutOf(checkpoint.names);
    return new Map(
      checkpoint.names.flatMap((name) => {
        const key = keyOf(name);
        return key === null ? [] : [[key, checkpoint.get(name).shape] as const];
      }),
    );
  };

  for (const entry of overlays) {
    test(`${entry.overlay} is told`, async () => {
      using _scope = Scope.open();
      using copy = temporaryFolder();
      overlaid(entry, copy.path);
      const module = new AnyModule(await shapes(join(folder, entry.base as string)));
      const load = async () => {
        const checkpoint = await openCheckpoint(copy.path);
        return loadModule(module, { checkpoint, keyOf: layoutOf(checkpoint.names).keyOf });
      };
      const told = await load().then(
        ({ unexpected }) => {
          assert.ok(entry.warning, 'it was accepted');
          return unexpected.join();
        },
        (error: unknown) => {
          assert.ok(error instanceof MglmmError && error.code.startsWith('MGLMM_CHECKPOINT'), String(error));
          return error.message;
        },
      );
      assert.ok(told.includes(entry.must_name ?? ''), told);
      module.dispose();
    });
  }
});
