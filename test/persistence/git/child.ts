import { gitStore } from '../../../src/persistence/git/index.ts'
import { TestRun } from '../../../src/testing/store-conformance/test-run.ts'

/*
 * A process of its own with a Git store: appends without end to some runs, and says each unit once it is acknowledged.
 */

const [gitdir, label] = process.argv.slice(2) as [string, string]
const store = gitStore({ gitdir, interval: 1, fsync: false })
const runs = await Promise.all(
  Array.from({ length: 8 }, (_, index) => new TestRun('sha1', { key: `${label} ${index}` }).create(store)),
)
process.stdout.write('ready\n')
await Promise.all(
  runs.map(async run => {
    for (;;) {
      await run.goOn(store, 1)
      process.stdout.write(`${JSON.stringify([run.id, run.seq])}\n`)
    }
  }),
)
