import { defineConfig } from 'tsup'
import { binaries, browserEntries, entries, threads } from './entries.ts'

/** The native compiler has written these; to bundle them takes a tenth of what it takes to make them with the old one. */
const declarations = Object.fromEntries(
  Object.entries(entries).map(([door, source]) => [door, source.replace(/^src\/(.*)\.ts$/, '.types/$1.d.ts')]),
)

export default defineConfig({
  entry: { ...entries, ...browserEntries, ...binaries, ...threads },
  format: ['esm'],
  target: 'node20.19',
  platform: 'neutral',
  splitting: true,
  clean: true,
  removeNodeProtocol: false,
  dts: { entry: declarations },
  external: [/^node:/, 'xstate', 'rxjs', 'pg', 'iovalkey', 'kafkajs', '@opentelemetry/api'],
})
