import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import { entries } from './entries.ts'

/** Tests import the public doors by their published names; here these resolve to the sources. Longest name first, or `xmachines` would swallow its subpaths. */
const doors = Object.entries(entries).map(([door, source]) => ({
  find: door === 'index' ? /^xmachines$/ : new RegExp(`^xmachines/${door}$`),
  replacement: fileURLToPath(new URL(source, import.meta.url)),
}))

export default defineConfig({
  resolve: { alias: doors },
  test: {
    include: ['test/**/*.test.ts'],
    typecheck: { enabled: false },
    testTimeout: 30_000,
    hookTimeout: 60_000,
    setupFiles: ['test/seed.ts'],
  },
})
