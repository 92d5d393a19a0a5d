import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { command } from '../package/command.ts'
import { type Packed, packed, root } from '../package/packed.ts'
import { place } from '../package/program.ts'
import { blocksOf, filesIn, fits, type Sample, samplesOf } from './blocks.ts'

/** Pages that a user reads: all of their code is run. */
const pages = [
  'README.md',
  'docs/errors.md',
  ...readdirSync(join(root, 'docs/guides')).map(name => `docs/guides/${name}`),
  ...readdirSync(join(root, 'examples')).map(name => `examples/${name}/README.md`),
]

/** Commands for people: a clone of this repository, a browser, a server that goes on. */
const notRun: readonly RegExp[] = [
  /^npm ci && npm (run demo|test|pack)$/,
  /^npm install( @opentelemetry\/api| pg| \S+\.tgz xstate)?$/,
  /^npm run [\w:]+( -- .*)?$/,
  /^cd examples\/[\w-]+$/,
  /^([A-Z_]+=\S+ )+npm start( \d+)?$/,
  /^([A-Z_]+=\S+ )*npx jiti examples\/.*$/,
  /^npx xmachines copy .*'postgres:.*$/,
  /^npx xmachines (run|dlq .*) --kafka .*$/,
  /^curl .*$/,
  /^FC_SEED=.*$/,
]

let pack: Packed
beforeAll(async () => {
  pack = await packed()
}, 600_000)

describe.each(pages)('%s', page => {
  const blocks = blocksOf(readFileSync(join(root, page), 'utf8'))
  const folder = (): string => join(pack.folder, 'pages', page.replaceAll('/', '-').replace('.md', ''))

  test('has no code that is not run', () => {
    const idle = blocks
      .filter(({ language, mark }) => ['ts', 'js', 'sh'].includes(language) && mark === '')
      .filter(
        ({ language, text }) =>
          language !== 'sh' ||
          !text
            .trim()
            .split('\n')
            .every(line => notRun.some(command => command.test(line))),
      )
    expect(idle.map(({ line, text }) => `line ${line}: ${text}`)).toEqual([])
  })

  const samples = samplesOf(blocks)
  if (samples.length === 0) return
  test('does what it says', async () => {
    rmSync(folder(), { recursive: true, force: true })
    mkdirSync(folder(), { recursive: true })
    if (page.startsWith('examples/')) cpSync(join(root, dirname(page)), folder(), { recursive: true, filter: isOwn })
    place(folder(), filesIn(blocks))
    // One after the other, in one folder, as a reader does it.
    for (const sample of samples) {
      const { code, printed } = await run(sample, folder())
      const place = `line ${sample.block.line} of ${page}`
      expect(code, `${place}: ${printed}`).toBe(sample.exit)
      if (sample.prints !== undefined && !fits(printed, sample.prints)) expect(printed, place).toBe(sample.prints)
    }
  }, 300_000)
})

/** Not what installing or running an example has left. */
function isOwn(path: string): boolean {
  return !/[\\/](node_modules|dist|package-lock\.json)$/.test(path)
}

async function run(
  { block }: Sample,
  folder: string,
): Promise<{ readonly code: number | null; readonly printed: string }> {
  const bin = join(pack.folder, 'node_modules/.bin')
  const env = { PATH: `${bin}${delimiter}${process.env.PATH}` }
  if (block.language !== 'sh') place(folder, { [`line-${block.line}.ts`]: block.text })
  const script = block.language === 'sh' ? block.text : `'${process.execPath}' line-${block.line}.js`
  const { code, stdout, stderr } = await command('sh', ['-e', '-c', script], { cwd: folder, env })
  return { code, printed: stdout + stderr }
}
