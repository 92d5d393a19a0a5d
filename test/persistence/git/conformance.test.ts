import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { gitStore } from '../../../src/persistence/git/index.ts'
import { storeConformance } from '../../../src/testing/store-conformance.ts'
import { temporaryDirectory } from '../filesystem/directory.ts'
import { fsck } from './stock-git.ts'

describe('gitStore', () => {
  storeConformance(async () => {
    const { dir, remove } = temporaryDirectory()
    return {
      open: async options => gitStore({ dir, ...options }),
      cleanup: async () => {
        // Whatever a check did, Git finds nothing wrong.
        try {
          // Some checks never come to its first operation.
          if (existsSync(join(dir, '.git'))) expect(fsck(join(dir, '.git'))).toBe('')
        } finally {
          remove()
        }
      },
      durable: true,
    }
  }, test)
})
