import { Option } from 'commander'

/** `--machine FILE[#export]`, which may be given several times. */
export function machineOption(): Option {
  return new Option(
    '--machine <file[#export]>',
    'the machine: JavaScript or TypeScript; again for the machines of older runs',
  ).argParser((value: string, before: readonly string[] | undefined) => [...(before ?? []), value])
}
