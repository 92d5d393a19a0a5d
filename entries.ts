/** Every public door: subpath → source. tsup builds exactly these, `exports` names exactly these, and a test holds the two together. */
export const entries: Readonly<Record<string, string>> = {
  index: 'src/index.ts',
  testing: 'src/testing.ts',
  'persistence/memory': 'src/persistence/memory.ts',
  'persistence/filesystem': 'src/persistence/filesystem/index.ts',
  'persistence/postgres': 'src/persistence/postgres/index.ts',
  'persistence/valkey': 'src/persistence/valkey/index.ts',
  'persistence/git': 'src/persistence/git/index.ts',
  'transports/memory': 'src/transports/memory/index.ts',
  'transports/kafka': 'src/transports/kafka/index.ts',
  'transports/redpanda': 'src/transports/kafka/redpanda.ts',
  'transports/framing': 'src/transports/framing/index.ts',
  'transports/rxjs': 'src/transports/rxjs.ts',
  otel: 'src/otel/index.ts',
}

/** Built, and taken by bundlers for browsers in place of a door that needs Node. */
export const browserEntries: Readonly<Record<string, string>> = {
  'persistence/git.browser': 'src/persistence/git/browser.ts',
}

/** Built, but not importable: the command line. */
export const binaries: Readonly<Record<string, string>> = { cli: 'src/cli/main.ts' }

/** Built, but not importable: what threads of ours run, beside the chunks that start them. */
export const threads: Readonly<Record<string, string>> = {
  'git-packing-worker': 'src/persistence/git/packing-worker.ts',
}
