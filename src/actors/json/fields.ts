/*
 * What JSON from outside has to be before it counts as something of ours: a hash or a checksum says that it is as it was
 * written, not that this package wrote it.
 */

/** Whether a value is what it should be. */
export type Check = (value: unknown) => boolean

/** A check for each name; a name that is not there is checked as `undefined`. */
export type Fields = Readonly<Record<string, Check>>

export const isObject: Check = value => typeof value === 'object' && value !== null && !Array.isArray(value)
export const isCount: Check = value => Number.isSafeInteger(value) && (value as number) >= 0
export const isText: Check = value => typeof value === 'string'
export const isFlag: Check = value => typeof value === 'boolean'
export const isTime: Check = value => Number.isFinite(value)

export const listOf =
  (check: Check): Check =>
  value =>
    Array.isArray(value) && value.every(check)

/** An object of which every property passes, whatever its name. */
export const mapOf =
  (check: Check): Check =>
  value =>
    isObject(value) && Object.values(value as object).every(check)

export const orNull =
  (check: Check): Check =>
  value =>
    value === null || check(value)

export const optional =
  (check: Check): Check =>
  value =>
    value === undefined || check(value)

/** An object with these properties; what else it has is not looked at. */
export const objectOf =
  (fields: Fields): Check =>
  value =>
    isObject(value) && unfit(value, fields) === undefined

/** The first property of an object that is not what it should be. */
export function unfit(value: unknown, fields: Fields): string | undefined {
  const found = value as Readonly<Record<string, unknown>>
  return Object.keys(fields).find(name => !fields[name]!(Object.hasOwn(found, name) ? found[name] : undefined))
}
