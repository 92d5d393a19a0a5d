import { existsSync, renameSync } from 'node:fs'
import { exclusively } from '../../package/lock.ts'
import { artifacts, classArchive } from './artifacts.ts'
import { startKafka } from './kafka.ts'

/** Makes the archive of a version unless it is there: of a node that starts, makes a topic and ends in peace. */
export async function archiveClasses(version: string): Promise<void> {
  const path = classArchive(version)
  if (existsSync(path)) return
  await exclusively(`${artifacts(version)}.lock`, async () => {
    if (existsSync(path)) return
    const part = `${path}.part`
    const kafka = await startKafka({ version, javaOptions: [`-XX:ArchiveClassesAtExit=${part}`] })
    try {
      await kafka.createTopic('first', { partitions: 1 })
      await kafka.nodes[0]!.shutDown()
      if (existsSync(part)) renameSync(part, path)
    } finally {
      await kafka.stop()
    }
  })
}
