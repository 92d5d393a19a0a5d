import { defineConfig } from 'tsup'
import { binaries, entries } from './entries.ts'

export default defineConfig({
  entry: { ...entries, ...binaries },
  format: ['esm'],
  target: 'node20.19',
  platform: 'neutral',
  splitting: true,
  clean: true,
  removeNodeProtocol: false,
  dts: { entry: entries },
  external: [/^node:/, 'xstate', 'rxjs', 'pg', 'iovalkey', 'kafkajs', '@opentelemetry/api'],
})
