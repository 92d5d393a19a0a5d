import { gunzipSync } from 'node:zlib'
import { XMachinesError } from '../../../actors/errors.ts'

/** Takes the compression off the records of a batch. */
export interface Codec {
  decompress(bytes: Buffer): Promise<Buffer> | Buffer
}

/** The codecs at hand, by Kafka's number; what kafkajs was given is among them. */
export type Codecs = (type: number) => Codec | undefined

/** Those of kafkajs, as far as it has them at that moment. */
export function codecsOf({ CompressionCodecs }: { readonly CompressionCodecs: object }): Codecs {
  const makers = CompressionCodecs as Readonly<Record<number, () => Codec>>
  return type => {
    try {
      return makers[type]?.()
    } catch (error) {
      // What kafkajs has in the place of a codec that nobody has put there.
      if ((error as Error).name === 'KafkaJSNotImplemented') return undefined
      throw error
    }
  }
}

const names: Readonly<Record<number, { readonly name: string; readonly package: string }>> = {
  2: { name: 'snappy', package: 'kafkajs-snappy' },
  3: { name: 'lz4', package: 'kafkajs-lz4' },
  4: { name: 'zstd', package: '@kafkajs/zstd' },
}

/** The codec of `type`. @throws XMachinesError `LIBRARY_MISSING`, naming the package to install and how to register it */
export function codecOf(type: number, codecs: Codecs): Codec {
  if (type === 1) return { decompress: bytes => gunzipSync(bytes) }
  const codec = codecs(type)
  if (codec) return codec
  const known = names[type] ?? { name: `number ${type}`, package: 'a codec' }
  throw new XMachinesError(
    'LIBRARY_MISSING',
    `The topic holds records that are compressed with ${known.name}, for which kafkajs has no codec: ` +
      `npm install ${known.package}, and put it into kafkajs' CompressionCodecs[${type}] before the broker is made.`,
    { details: { package: known.package, compression: known.name } },
  )
}
