import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { deflateSync } from 'node:zlib'
import type { ObjectFormat } from '../../../src/actors/contracts/unit.ts'
import type { GitObject } from '../../../src/actors/identity/index.ts'

/** A bare repository of stock Git in a temporary directory, free of anybody's configuration. */
export class GitRepository implements Disposable {
  readonly dir = mkdtempSync(join(tmpdir(), 'xmachines-git-'))

  constructor(format: ObjectFormat) {
    this.git(['init', '--quiet', '--bare', `--object-format=${format}`, '--initial-branch=main'])
  }

  /** What git printed, on both streams; throws when it fails. */
  git(
    args: readonly string[],
    options: { readonly input?: Uint8Array | string; readonly env?: Record<string, string> } = {},
  ): string {
    const { status, stdout, stderr } = spawnSync('git', args, {
      cwd: this.dir,
      input: options.input ?? '',
      env: { PATH: process.env.PATH, HOME: this.dir, GIT_CONFIG_NOSYSTEM: '1', TZ: 'UTC', ...options.env },
      maxBuffer: 1 << 26,
    })
    if (status !== 0) throw new Error(`git ${args.join(' ')} exited with ${status}: ${stderr}${stdout}`)
    return `${stdout}${stderr}`
  }

  /** Stores an object under the name it claims; `fsck` compares. */
  write(object: GitObject): void {
    const header = Buffer.from(`${object.type} ${object.bytes.length}\0`)
    const dir = join(this.dir, 'objects', object.oid.slice(0, 2))
    mkdirSync(dir, { recursive: true })
    writeFileSync(join(dir, object.oid.slice(2)), deflateSync(Buffer.concat([header, object.bytes])))
  }

  [Symbol.dispose](): void {
    rmSync(this.dir, { recursive: true, force: true })
  }
}
