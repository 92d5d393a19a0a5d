import { readFile } from 'node:fs/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build } from 'esbuild'

/*
 * Starts the benchmarks as a program of a user starts: without a loader. That of TypeScript made every `require` a
 * round trip to its thread, and kafkajs calls one with each request.
 */

const outdir = fileURLToPath(new URL('../.cache', import.meta.url))

/** Files that look for others beside themselves find them, though they are bundled; a thread's is built beside the bundle, as in the package. */
const ownUrls = {
  name: 'own-urls',
  setup({ onLoad }) {
    onLoad({ filter: /\.ts$/ }, async ({ path }) => {
      if (path.endsWith('packing-thread.ts')) return undefined
      const source = await readFile(path, 'utf8')
      return { loader: 'ts', contents: source.replaceAll('import.meta.url', JSON.stringify(pathToFileURL(path).href)) }
    })
  },
}

await build({
  entryPoints: {
    bench: fileURLToPath(new URL('run.ts', import.meta.url)),
    'git-packing-worker': fileURLToPath(new URL('../src/persistence/git/packing-worker.ts', import.meta.url)),
  },
  outdir,
  bundle: true,
  platform: 'node',
  format: 'esm',
  packages: 'external',
  plugins: [ownUrls],
  logLevel: 'warning',
})
await import(pathToFileURL(`${outdir}/bench.js`).href)
