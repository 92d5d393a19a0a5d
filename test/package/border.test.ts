import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cruise, type IConfiguration, type ICruiseResult } from 'dependency-cruiser'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))
const { forbidden = [], options = {} }: IConfiguration = createRequire(import.meta.url)(
  join(root, '.dependency-cruiser.cjs'),
)

/** The names of the rules that the files under `folder` break, with where. */
async function violations(folder: string, entries: string[]): Promise<string[]> {
  const { output } = await cruise(entries, { ...options, baseDir: folder, validate: true, ruleSet: { forbidden } })
  return (output as ICruiseResult).summary.violations.map(({ rule, from, to }) => `${rule.name}: ${from} → ${to}`)
}

/** By rule: files that break it, and where it must say so. Next to each stands what is just allowed. */
const planted: Readonly<Record<string, { readonly files: Readonly<Record<string, string>>; readonly at: string }>> = {
  'no-cycle': {
    files: {
      'src/actors/run/one.ts': "import { two } from './two.ts'\nexport const one = () => two",
      'src/actors/run/two.ts': "import { one } from './one.ts'\nexport const two = () => one",
      'src/actors/run/three.ts': "import type { Four } from './four.ts'\nexport interface Three { four: Four }",
      'src/actors/run/four.ts': "import { type Three, } from './three.ts'\nexport type Four = Three | undefined",
    },
    at: 'src/actors/run/one.ts',
  },
  'no-cycle-across-folders': {
    files: {
      'src/actors/replay/one.ts': "import type { Two } from '../supervisor/two.ts'\nexport type One = Two",
      'src/actors/supervisor/two.ts': "import type { One } from '../replay/one.ts'\nexport type Two = One",
    },
    at: 'src/actors/replay/one.ts',
  },
  'no-missing': {
    files: { 'src/actors/run/one.ts': "import left from 'left-pad-that-nobody-installed'\nexport default left" },
    at: 'src/actors/run/one.ts',
  },
  'core-below-all': {
    files: {
      'src/actors/run/one.ts': "import type { Two } from '../../persistence/two.ts'\nexport type One = Two",
      'src/persistence/two.ts': "import type { Store } from '../actors/contracts/store.ts'\nexport type Two = Store",
      'src/actors/contracts/store.ts': 'export interface Store {}',
    },
    at: 'src/actors/run/one.ts',
  },
  'contracts-are-types': {
    files: {
      'src/actors/contracts/one.ts': "import type { Two } from '../errors.ts'\nexport type One = Two",
      'src/actors/errors.ts': 'export interface Two {}',
    },
    at: 'src/actors/contracts/one.ts',
  },
  'run-below-supervisor': {
    files: {
      'src/actors/run/one.ts': "import { two } from '../supervisor/two.ts'\nexport const one = two",
      'src/actors/supervisor/two.ts': 'export const two = 2',
    },
    at: 'src/actors/run/one.ts',
  },
  'machine-below-run': {
    files: {
      'src/actors/machine/one.ts': "import { two } from '../run/two.ts'\nexport const one = two",
      'src/actors/run/two.ts': 'export const two = 2',
    },
    at: 'src/actors/machine/one.ts',
  },
  'xstate-in-one-folder': {
    files: {
      'src/actors/run/one.ts': "import { createActor } from 'xstate'\nexport const one = createActor",
      'src/actors/run/two.ts': "import type { AnyActorLogic } from 'xstate'\nexport type Two = AnyActorLogic",
      'src/actors/machine/three.ts': "import { createActor } from 'xstate'\nexport const three = createActor",
      'src/actors/supervisor/four.ts': "import { setup } from 'xstate'\nexport const four = setup",
    },
    at: 'src/actors/run/one.ts',
  },
  'otel-in-one-folder': {
    files: {
      'src/actors/run/one.ts': "import type { Span } from '@opentelemetry/api'\nexport type One = Span",
      'src/otel/two.ts': "import { trace } from '@opentelemetry/api'\nexport const two = trace",
    },
    at: 'src/actors/run/one.ts',
  },
  'drivers-know-the-core-only': {
    files: {
      'src/persistence/memory.ts': "import { two } from './filesystem/two.ts'\nexport const one = two",
      'src/persistence/filesystem/two.ts': "import { judge } from '../judge.ts'\nexport const two = judge",
      'src/persistence/judge.ts': 'export const judge = 1',
      'src/transports/rxjs.ts': "import { bell } from './memory/bell.ts'\nexport const rx = bell",
      'src/transports/memory/bell.ts': "import { errors } from '../../actors/errors.ts'\nexport const bell = errors",
      'src/actors/errors.ts': 'export const errors = {}',
    },
    at: 'src/persistence/memory.ts, src/transports/rxjs.ts',
  },
  'git-has-a-file-journal': {
    files: {
      'src/persistence/git/one.ts': "import { two } from '../postgres/two.ts'\nexport const one = two",
      'src/persistence/git/three.ts': "import { four } from '../filesystem/four.ts'\nexport const three = four",
      'src/persistence/postgres/two.ts': 'export const two = 2',
      'src/persistence/filesystem/four.ts': 'export const four = 4',
    },
    at: 'src/persistence/git/one.ts',
  },
  'git-over-fs-without-node': {
    files: { 'src/persistence/git/over-fs/one.ts': "import { join } from 'node:path'\nexport const one = join" },
    at: 'src/persistence/git/over-fs/one.ts',
  },
  'node-in-its-places': {
    files: {
      'src/persistence/memory.ts': "import { readFileSync } from 'node:fs'\nexport const one = readFileSync",
      'src/transports/memory/two.ts': "import type { Stats } from 'fs'\nexport type Two = Stats",
      'src/persistence/filesystem/three.ts': "import { open } from 'node:fs/promises'\nexport const three = open",
      'src/cli/main.ts': "import { argv } from 'node:process'\nexport const four = argv",
    },
    at: 'src/persistence/memory.ts, src/transports/memory/two.ts',
  },
  'root-is-actors': {
    files: {
      'src/index.ts':
        "export { a } from './actors/a.ts'\nexport { m } from './persistence/memory.ts'\nexport { f } from './persistence/filesystem/f.ts'",
      'src/actors/a.ts': 'export const a = 1',
      'src/persistence/memory.ts': 'export const m = 1',
      'src/persistence/filesystem/f.ts': 'export const f = 1',
    },
    at: 'src/index.ts',
  },
  'suites-bind-no-runner': {
    files: { 'src/testing/one.ts': "import { test } from 'vitest'\nexport const one = test" },
    at: 'src/testing/one.ts',
  },
  'nothing-published-needs-tests': {
    files: {
      'src/cli/one.ts': "import { two } from '../../test/two.ts'\nexport const one = two",
      'test/two.ts': 'export const two = 2',
    },
    at: 'src/cli/one.ts',
  },
  'examples-import-by-name': {
    files: {
      'examples/counter/main.ts': "import { one } from '../../src/index.ts'\nimport './own.ts'\nexport const two = one",
      'examples/counter/own.ts': "import 'xmachines'\nexport {}",
      'src/index.ts': 'export const one = 1',
    },
    at: 'examples/counter/main.ts',
  },
}

describe('the border', () => {
  test('holds: core ← drivers ← roots', async () => {
    expect(await violations(root, ['src', 'examples'])).toEqual([])
  }, 300_000)

  test('has a planted violation for every rule', () => {
    expect(forbidden.map(rule => rule.name)).toEqual(Object.keys(planted))
  })
})

describe('a planted violation is found, and nothing else is:', () => {
  let folder: string
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'xmachines-border-'))
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  test.each(Object.entries(planted))('%s', async (rule, { files, at }) => {
    const place = join(folder, rule)
    for (const [path, text] of Object.entries({ 'package.json': '{"name":"xmachines","type":"module"}', ...files })) {
      mkdirSync(dirname(join(place, path)), { recursive: true })
      writeFileSync(join(place, path), text)
    }
    symlinkSync(join(root, 'node_modules'), join(place, 'node_modules'))
    const entries = [...new Set(Object.keys(files).map(path => path.split('/')[0]!))]
    const found = await violations(place, entries)
    expect([...new Set(found.map(line => line.split(':')[0]))]).toEqual([rule])
    const from = found.map(line => line.split(': ')[1]!.split(' → ')[0]!)
    for (const place of at.split(', ')) expect(from).toContain(place)
    if (!rule.startsWith('no-cycle')) expect(new Set(from).size).toBe(at.split(', ').length)
  })
})
