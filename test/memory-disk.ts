import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const place = '/dev/shm'
/** Brokers, servers and repositories of one run of the tests take a part of it. */
const room = 8 * 2 ** 30

/**
 * A folder that is in memory, if there is one with room and in which programs may be run, as hooks are: most of what tests wait
 * for is a disk that syncs.
 */
export function memoryDisk(): string | undefined {
  try {
    const { bavail, bsize } = statfsSync(place)
    if (bavail * bsize < room) return undefined
    const dir = mkdtempSync(join(place, 'xmachines-'))
    try {
      const program = join(dir, 'program')
      writeFileSync(program, '#!/bin/sh\n', { mode: 0o755 })
      execFileSync(program)
      return place
    } finally {
      rmSync(dir, { recursive: true })
    }
  } catch {
    return undefined
  }
}
