import { InvalidArgumentError } from 'commander'

/** The value of an option that is a number from 0. */
export function wholeNumber(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError('It is not a whole number.')
  return Number(text)
}

/** The value of an option that is a number from 1. */
export function countingNumber(text: string): number {
  const count = wholeNumber(text)
  if (count === 0) throw new InvalidArgumentError('It is not 1 or more.')
  return count
}
