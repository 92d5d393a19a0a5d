import { readFile } from 'node:fs/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build } from 'esbuild'

/*
 * Starts the benchmarks as a program of a user starts: without a loader. That of TypeScript made every `require` a
 * round trip to its thread, and kafkajs calls one with each request.
 */

const outfile = fileURLToPath(new URL('../.cache/bench.mjs', import.meta.url))

/** Files that look for others beside themselves find them, though they are bundled. */
const ownUrls = {
  name: 'own-urls',
  setup({ onLoad }) {
    onLoad({ filter: /\.ts$/ }, async ({ path }) => {
      const source = await readFile(path, 'utf8')
      return { loader: 'ts', contents: source.replaceAll('import.meta.url', JSON.stringify(pathToFileURL(path).href)) }
    })
  },
}

await build({
  entryPoints: [fileURLToPath(new URL('run.ts', import.meta.url))],
  outfile,
  bundle: true,
  platform: 'node',
  format: 'esm',
  packages: 'external',
  plugins: [ownUrls],
  logLevel: 'warning',
})
await import(pathToFileURL(outfile).href)
