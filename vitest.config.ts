import { availableParallelism, tmpdir } from 'node:os'
import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'
import { entries } from './entries.ts'
import { ClosingReport } from './test/closing-report.ts'
import { memoryDisk } from './test/memory-disk.ts'

// Whatever the tests start has it from here. The long form writes more than should be in memory.
if (process.env.TMPDIR === undefined && process.env.XM_LONG !== '1') {
  const disk = memoryDisk()
  // What is kept from one run to the next stays where it was.
  process.env.XM_KEPT_DIR = tmpdir()
  if (disk !== undefined) process.env.TMPDIR = disk
}

/** Tests import the public doors by their published names; here these resolve to the sources. Longest name first, or `xmachines` would swallow its subpaths. */
const doors = Object.entries(entries).map(([door, source]) => ({
  find: door === 'index' ? /^xmachines$/ : new RegExp(`^xmachines/${door}$`),
  replacement: fileURLToPath(new URL(source, import.meta.url)),
}))

/** Another XState than the installed one, for the package and its tests alike: the oldest of the peer range, unless scripts/xstate-versions.mjs names one. */
const xstate = {
  find: /^xstate$/,
  replacement:
    process.env.XSTATE_ENTRY ??
    fileURLToPath(new URL('node_modules/xstate-oldest/dist/xstate.development.cjs.mjs', import.meta.url)),
}

const every = { testTimeout: 30_000, hookTimeout: 60_000, setupFiles: ['test/seed.ts'] }

/** Tests that start no server, and no process but stock Git. */
const ofOneProcess = ['test/{actors,property,testing,transports}/**/*.test.ts']
/** They share their worker's modules: to load these anew for each file takes a third of the processor's time. The others do not: the larger a process, the longer it takes to start one from it. */
const shared = { ...every, isolate: false }

/** What takes longest in `processes`, whatever the size of its files. */
const longest = ['test/faults/', 'test/kafka/', 'test/cli/interrupted', 'test/package/', 'test/examples/', 'test/cli/']

/** Who has no times of an earlier run begins with the largest files: one that is small and long would end alone. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ project, moduleId }: TestSpecification): number => {
      if (project.name !== 'processes') return -1 // they come before all of it
      const at = longest.findIndex(path => moduleId.includes(path))
      return at < 0 ? longest.length : at
    }
    const sorted = await super.sort(files)
    const isTimed = files.some(({ project, moduleId }) =>
      this.ctx.cache.getFileTestResults(`${project.name}:${relative(this.ctx.config.root, moduleId)}`),
    )
    return isTimed ? sorted : sorted.sort((a, b) => place(a) - place(b))
  }
}

export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    // Generated machines log, which is of interest where something fails.
    silent: 'passed-only',
    globalSetup: ['test/servers/lending.ts'],
    reporters: ['default', ...(process.env.GITHUB_ACTIONS === 'true' ? ['github-actions'] : []), new ClosingReport()],
    // Tests wait for disks, servers and processes: on two cores one worker, the default, leaves half of them idle, and two a sixth.
    maxWorkers: Math.max(3, availableParallelism() - 1),
    projects: [
      { resolve: { alias: doors }, test: { ...shared, name: 'one-process', include: ofOneProcess } },
      {
        resolve: { alias: doors },
        test: {
          ...every,
          name: 'processes',
          globalSetup: ['test/kafka/launcher/lending.ts'],
          include: ['test/**/*.test.ts'],
          exclude: ofOneProcess,
        },
      },
      {
        resolve: { alias: [...doors, xstate] },
        test: {
          ...shared,
          name: 'another-xstate',
          env: { XSTATE_ENTRY: xstate.replacement },
          include: [
            'test/actors/{machine,strict}/*.test.ts',
            'test/golden/*.test.ts',
            'test/property/{replay-equals-live,strict,units}.test.ts',
          ],
        },
      },
    ],
  },
})
