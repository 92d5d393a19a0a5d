import { describe, test } from 'vitest'
import { fileStore } from '../../../src/persistence/filesystem/index.ts'
import { storeConformance } from '../../../src/testing/store-conformance.ts'
import { temporaryDirectory } from './directory.ts'

describe('fileStore', () => {
  storeConformance(async () => {
    const { dir, remove } = temporaryDirectory()
    return {
      open: async options => fileStore(`${dir}/store`, options),
      cleanup: async () => remove(),
      durable: true,
    }
  }, test)
})
