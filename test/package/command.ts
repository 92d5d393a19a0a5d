import { spawn } from 'node:child_process'

/** What a command printed, and how it ended. */
export interface Finished {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface CommandOptions {
  readonly cwd: string
  readonly env?: Readonly<Record<string, string>>
  readonly input?: string
}

/** Runs a command to its end, without a shell. */
export function command(file: string, args: readonly string[], { cwd, env, input }: CommandOptions): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { cwd, env: { ...process.env, ...env }, stdio: 'pipe' })
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', text => (stdout += text))
    child.stderr.setEncoding('utf8').on('data', text => (stderr += text))
    child.on('error', reject)
    child.on('close', code => resolve({ code, stdout, stderr }))
    child.stdin.end(input)
  })
}

/** As {@link command}; anything but exit code 0 is an error that shows what was printed. */
export async function succeed(file: string, args: readonly string[], options: CommandOptions): Promise<string> {
  const { code, stdout, stderr } = await command(file, args, options)
  if (code !== 0) throw new Error(`${[file, ...args].join(' ')} ended with ${code}:\n${stdout}\n${stderr}`)
  return stdout
}
