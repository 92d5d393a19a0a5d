import { Option } from 'commander'

/** `--machine FILE[#export]`, which may be given several times. */
export function machineOption(
  what = 'the machine: JavaScript or TypeScript; again for the machines of older runs',
): Option {
  return new Option('--machine <file[#export]>', what).argParser(
    (value: string, before: readonly string[] | undefined) => [...(before ?? []), value],
  )
}
