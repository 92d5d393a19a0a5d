import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ErrorCode, XMachinesError } from '../../../src/actors/errors.ts'
import { frameHeaderLength } from '../../../src/persistence/filesystem/frame.ts'
import { fileStore } from '../../../src/persistence/filesystem/index.ts'
import { collect, TestRun, testUnit } from '../../../src/testing/store-conformance/test-run.ts'
import { temporaryDirectory } from './directory.ts'
import { contentOf, copyStore, openStore } from './stores.ts'

const { dir: place, remove } = temporaryDirectory()
const origin = join(place, 'origin')
const dir = join(place, 'copy')
const log = join(dir, 'log-00000001.ndjson')
let whole: Buffer
/** Where frames begin in the first segment. */
let frames: number[]
const run = new TestRun('sha1', { key: 'a' })

beforeAll(async () => {
  const { store } = openStore(origin, { segmentBytes: 2500 })
  await run.create(store)
  for (let seq = 1; seq < 20; seq++) await run.goOn(store)
  await store.close()
  whole = readFileSync(join(origin, 'log-00000001.ndjson'))
  frames = [...whole.toString('latin1').matchAll(/^\{"flush":/gm)].map(match => match.index)
  expect(readdirSync(origin).filter(name => name.startsWith('log')).length).toBeGreaterThan(2)
})

afterAll(() => remove())

/** What an operation rejects with; the files are as they were before. */
async function refusal(code: ErrorCode, open: () => ReturnType<typeof openStore>): Promise<XMachinesError> {
  const before = readdirSync(dir).map(name => [
    name,
    name.startsWith('log') && readFileSync(join(dir, name)).toString('latin1'),
  ])
  const { store, warnings } = open()
  for (const operation of [() => store.head(run.id), () => collect(store.list()), () => store.renew('p', 1)]) {
    const error: unknown = await operation().then(
      () => undefined,
      error => error,
    )
    expect(XMachinesError.is(error, code), `${code}, not ${error}`).toBe(true)
  }
  const error = await store.head(run.id).catch((error: XMachinesError) => error)
  await store.close()
  expect(warnings).toEqual([])
  const after = readdirSync(dir).filter(name => !name.startsWith('writer'))
  expect(after.map(name => [name, name.startsWith('log') && readFileSync(join(dir, name)).toString('latin1')])).toEqual(
    before,
  )
  return error as XMachinesError
}

function fresh(): void {
  rmSync(dir, { recursive: true, force: true })
  copyStore(origin, dir)
}

describe('damage', () => {
  test('anywhere in a flush before the last is refused with file and byte, and nothing is changed', async () => {
    for (let at = frames[1]!; at < frames[3]!; at += 5) {
      fresh()
      const bytes = Buffer.from(whole)
      bytes[at]! ^= 0x11
      writeFileSync(log, bytes)
      const error = await refusal('STORE_DAMAGED', () => openStore(dir))
      const offset = at < frames[2]! ? frames[1] : frames[2]
      expect(error.details).toMatchObject({ file: log, offset })
      expect(error.message).toContain(log)
      expect(error.message).toContain(`byte ${offset}`)
      expect(error.message).toContain('Restore')
    }
  })

  test('in the last segment is refused where a whole flush stands behind it, else it is a torn tail', async () => {
    const name = readdirSync(origin)
      .filter(entry => entry.startsWith('log'))
      .sort()
      .at(-1)!
    const path = join(dir, name)
    const last = readFileSync(join(origin, name))
    const starts = [...last.toString('latin1').matchAll(/^\{"flush":/gm)].map(match => match.index)
    expect(starts.length).toBeGreaterThan(1)
    for (const [index, start] of starts.entries()) {
      fresh()
      const bytes = Buffer.from(last)
      bytes[start + 200]! ^= 0x11
      writeFileSync(path, bytes)
      if (index < starts.length - 1) {
        expect((await refusal('STORE_DAMAGED', () => openStore(dir))).details).toMatchObject({
          file: path,
          offset: start,
        })
        continue
      }
      const { store, warnings } = openStore(dir)
      await store.renew('p', 1)
      expect(warnings).toMatchObject([{ code: 'TAIL_CUT', file: path, offset: start }])
      await store.close()
    }
  })

  test('in the first line of a segment is refused', async () => {
    for (const name of ['log-00000001.ndjson', 'log-00000002.ndjson']) {
      const length = whole.indexOf(10)
      for (let at = 0; at <= length; at += 3) {
        fresh()
        const bytes = readFileSync(join(dir, name))
        bytes[at]! ^= 0x11
        writeFileSync(join(dir, name), bytes)
        const { store } = openStore(dir)
        const error: unknown = await store.head(run.id).catch(error => error)
        expect(XMachinesError.is(error), `${name} byte ${at}: ${error}`).toBe(true)
        const { code } = error as XMachinesError
        expect(['STORE_DAMAGED', 'STORE_FOREIGN', 'STORE_FORMAT']).toContain(code)
        await store.close()
      }
    }
  })

  test('a segment in the middle that ends too early, is missing, or is another one', async () => {
    fresh()
    writeFileSync(log, whole.subarray(0, -10))
    expect((await refusal('STORE_DAMAGED', () => openStore(dir))).details).toMatchObject({
      file: log,
      offset: frames.at(-1),
    })
    fresh()
    rmSync(log)
    expect((await refusal('STORE_DAMAGED', () => openStore(dir))).details).toMatchObject({ file: log })
    fresh()
    const [second, third] = ['log-00000002.ndjson', 'log-00000003.ndjson'].map(name => join(dir, name))
    renameSync(third!, join(dir, 'x'))
    renameSync(second!, third!)
    renameSync(join(dir, 'x'), second!)
    expect((await refusal('STORE_DAMAGED', () => openStore(dir))).details).toMatchObject({ file: second })
  })

  test('a flush that is gone from the middle is noticed', async () => {
    fresh()
    writeFileSync(log, Buffer.concat([whole.subarray(0, frames[1]), whole.subarray(frames[2])]))
    expect((await refusal('STORE_DAMAGED', () => openStore(dir))).details).toMatchObject({
      file: log,
      offset: frames[1],
    })
  })

  test('of a line behind a checkpoint is noticed when it is read', async () => {
    const marked = join(place, 'marked')
    const first = openStore(marked, { checkpointBytes: 0 })
    const other = await new TestRun('sha1').create(first.store)
    await other.goOn(first.store, [testUnit(1, { events: [{ type: 'HERE' }] })])
    await other.goOn(first.store)
    await first.store.close()
    const path = join(marked, 'log-00000001.ndjson')
    const bytes = readFileSync(path)
    const at = bytes.indexOf('HERE')
    bytes.write('THEN', at)
    writeFileSync(path, bytes)
    const { store } = openStore(marked)
    expect((await store.head(other.id))?.seq).toBe(2)
    expect((await collect(store.read(other.id, { from: 2, ids: false }))).length).toBe(1)
    const error: unknown = await collect(store.read(other.id)).catch(error => error)
    const offset = bytes.lastIndexOf(10, at) + 1
    expect(error).toMatchObject({ code: 'STORE_DAMAGED', details: { file: path, offset } })
    await store.close()
  })

  test('of a long flush is noticed wherever the whole one behind it begins', async () => {
    const piece = 1 << 20
    const padded = join(place, 'long')
    let least = 0
    for (const off of [0, -1, 0, 1, 2, 60, frameHeaderLength, frameHeaderLength + 1, frameHeaderLength + 2]) {
      rmSync(padded, { recursive: true, force: true })
      const { store } = openStore(padded, { checkpointBytes: 1 << 30 })
      const made = await new TestRun('sha1').create(store)
      const pad = least === 0 ? '' : 'x'.repeat(piece - least - off)
      await made.goOn(store, [testUnit(1, { events: [{ type: 'E', pad }] })])
      await made.goOn(store)
      await store.close()
      const path = join(padded, 'log-00000001.ndjson')
      const bytes = readFileSync(path)
      const starts = [...bytes.toString('latin1').matchAll(/^\{"flush":/gm)].map(match => match.index)
      if (least === 0) least = starts[2]! - starts[1]!
      else expect(starts[2]! - starts[1]!).toBe(piece - off)
      bytes[starts[1]! + 300]! ^= 1
      writeFileSync(path, bytes)
      const { store: reader } = openStore(padded, { readOnly: true })
      await expect(reader.head(made.id)).rejects.toMatchObject({ details: { file: path, offset: starts[1] } })
      await reader.close()
    }
  })

  test('is none where the system made the file longer, however much', async () => {
    const path = join(place, 'longer', 'log-00000001.ndjson')
    const first = openStore(join(path, '..'))
    const made = await new TestRun('sha1').create(first.store)
    await first.store.close()
    const { size } = statSync(path)
    truncateSync(path, 2 ** 31 + 5000)
    const { store, warnings } = openStore(join(path, '..'))
    await made.goOn(store)
    expect(warnings).toMatchObject([{ code: 'TAIL_CUT', offset: size, bytes: 2 ** 31 + 5000 - size }])
    await store.close()
  })

  test('of the blanks in front of a length is noticed', async () => {
    const padded = join(place, 'padded')
    const first = openStore(padded, { checkpointBytes: 0 })
    const made = await new TestRun('sha1').create(first.store)
    await first.store.close()
    const path = join(padded, 'log-00000001.ndjson')
    const bytes = readFileSync(path)
    const offset = bytes.lastIndexOf(10, bytes.indexOf('"machine":')) + 1
    bytes.write('0', bytes.toString('latin1').slice(offset).search(/ \d+,/) + offset)
    writeFileSync(path, bytes)
    const { store } = openStore(padded)
    await expect(store.machine(made.machine.oid)).rejects.toMatchObject({
      code: 'STORE_DAMAGED',
      details: { file: path, offset },
    })
    await store.close()
  })

  test('of the place that a line names never shows the unit of another run', async () => {
    const two = join(place, 'two')
    const first = openStore(two, { checkpointBytes: 0 })
    const [one, other] = [new TestRun('sha1'), new TestRun('sha1')]
    for (const made of [one, other]) await made.create(first.store)
    for (let seq = 1; seq < 4; seq++) for (const made of [one, other]) await made.goOn(first.store)
    await first.store.close()
    const path = join(two, 'log-00000001.ndjson')
    const bytes = readFileSync(path)
    const lineOf = (made: TestRun, seq: number): number =>
      bytes.lastIndexOf(10, bytes.indexOf(`"run":"${made.id}","seq":${`${seq}`.padStart(10)}`)) + 1
    const named = bytes.indexOf(String(1e10 + lineOf(one, 2)), lineOf(one, 3))
    bytes.write(String(1e10 + lineOf(other, 2)), named)
    writeFileSync(path, bytes)
    const { store } = openStore(two)
    for (const options of [{ from: 2, to: 2, ids: false }, { to: 2 }, {}]) {
      await expect(collect(store.read(one.id, options))).rejects.toMatchObject({
        code: 'STORE_DAMAGED',
        details: { file: path },
      })
    }
    await store.close()
  })
})

describe('a place that is something else', () => {
  test('a directory of other files is refused, and nothing is made in it', async () => {
    rmSync(dir, { recursive: true, force: true })
    mkdirSync(dir)
    writeFileSync(join(dir, 'notes.txt'), 'mine')
    const error = await refusal('STORE_FOREIGN', () => openStore(dir))
    expect(error.message).toContain('notes.txt')
    expect(readdirSync(dir)).toEqual(['notes.txt'])
  })

  test('a file, a log of another kind, a directory with a volume’s own entries', async () => {
    rmSync(dir, { recursive: true, force: true })
    writeFileSync(dir, 'a file')
    await expect(openStore(dir).store.head(run.id)).rejects.toMatchObject({ code: 'STORE_FOREIGN' })
    await expect(openStore(dir).store.renew('p', 1)).rejects.toMatchObject({ code: 'STORE_FOREIGN' })
    await expect(openStore(join(dir, 'below')).store.renew('p', 1)).rejects.toMatchObject({ code: 'STORE_FOREIGN' })
    rmSync(dir)
    mkdirSync(dir)
    writeFileSync(log, '{"level":"info"}\n')
    await refusal('STORE_FOREIGN', () => openStore(dir))
    rmSync(log)
    mkdirSync(join(dir, 'lost+found'))
    const { store } = openStore(dir)
    await new TestRun('sha1').create(store)
    await store.close()
  })

  test('a place without a store is empty, but for who only reads', async () => {
    const nowhere = join(place, 'nowhere')
    const { store } = openStore(nowhere)
    expect(await contentOf(store)).toMatchObject({ heads: [] })
    await store.close()
    expect(readdirSync(place)).not.toContain('nowhere')
    for (const where of [nowhere, join(nowhere, 'below')]) {
      const reader = openStore(where, { readOnly: true })
      await expect(reader.store.head(run.id)).rejects.toMatchObject({ code: 'STORE_MISSING' })
      await expect(collect(reader.store.read(run.id))).rejects.toMatchObject({ code: 'STORE_MISSING' })
      await reader.store.close()
    }
  })

  test('a store of the other hash, or of a later format, is named', async () => {
    fresh()
    const error = await refusal('OBJECT_FORMAT_MISMATCH', () => openStore(dir, { objectFormat: 'sha256' }))
    expect(error.message).toContain("objectFormat: 'sha1'")
    const line = whole.toString('latin1', 0, whole.indexOf(10)).replace('"version":1', '"version":2')
    const text = line.slice(0, line.lastIndexOf(',"crc"'))
    const header = `${text},"crc":"${crc32(text).toString(16).padStart(8, '0')}"}`
    writeFileSync(log, Buffer.concat([Buffer.from(header), whole.subarray(whole.indexOf(10))]))
    expect((await refusal('STORE_FORMAT', () => openStore(dir))).details).toMatchObject({ version: 2, reads: 1 })
  })

  test('options that make no sense are a TypeError at once', () => {
    const wrong: [unknown, object][] = [
      ['', {}],
      [7, {}],
      [dir, { objectFormat: 'md5' }],
      [dir, { segmentBytes: 0 }],
      [dir, { segmentBytes: 1.5 }],
      [dir, { segmentBytes: 2 ** 40 }],
    ]
    for (const [where, options] of wrong) expect(() => fileStore(where as string, options)).toThrow(TypeError)
  })
})
