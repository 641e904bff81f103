/** Signatures that are none: the classes of the Wycheproof vectors, at every place that reads a token. */
import { describe, expect, test } from '@jest/globals'
import { sign, type KeyObject } from 'node:crypto'
import { jwt, type JwtFormat } from '../../src/index.js'
import { basic, machine } from '../support/server.js'
import { storedServer } from '../support/stored.js'
import { ed25519, issuer, machineToken, otherP256, p256, rsa, signatureOf, statusOf } from '../support/tokens.js'

const order = Buffer.from('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551', 'hex')
const edOrder = Buffer.from('edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010', 'hex')
const zeros = (size: number) => Buffer.alloc(size)
const ones = (size: number) => Buffer.alloc(size, 0xff)
const one = Buffer.concat([zeros(31), Buffer.from([1])])

type Case = [name: string, signature: (good: Buffer, text: string) => Buffer]

/** For every algorithm. */
const general: Case[] = [
  ['empty', () => zeros(0)],
  ['one zero byte', () => zeros(1)],
  ['all zero', (good) => zeros(good.length)],
  ['all ones', (good) => ones(good.length)],
  ['without its last byte', (good) => good.subarray(0, -1)],
  ['without its first byte', (good) => good.subarray(1)],
  ['half of it', (good) => good.subarray(0, good.length / 2)],
  ['with a zero byte behind', (good) => Buffer.concat([good, zeros(1)])],
  ['with a zero byte before', (good) => Buffer.concat([zeros(1), good])],
  ['twice', (good) => Buffer.concat([good, good])],
  ['backwards', (good) => Buffer.from(good).reverse()],
  ['with its first bit flipped', (good) => flip(good, 0, 0x80)],
  ['with its last bit flipped', (good) => flip(good, good.length - 1, 1)],
]

const ecdsa: Case[] = [
  ['r and s swapped', (good) => Buffer.concat([good.subarray(32), good.subarray(0, 32)])],
  ['r = 0', (good) => Buffer.concat([zeros(32), good.subarray(32)])],
  ['s = 0', (good) => Buffer.concat([good.subarray(0, 32), zeros(32)])],
  ['r = s = 1', () => Buffer.concat([one, one])],
  ['r = n', (good) => Buffer.concat([order, good.subarray(32)])],
  ['s = n', (good) => Buffer.concat([good.subarray(0, 32), order])],
  ['r = n, s = n', () => Buffer.concat([order, order])],
  ['r = 0, s = n (CVE-2022-21449 and its kin)', () => Buffer.concat([zeros(32), order])],
  ['DER in place of r and s', (_good, text) => sign('sha256', Buffer.from(text), { key: p256.privateKey, dsaEncoding: 'der' })],
  ['r and s of 48 bytes', (good) => Buffer.concat([zeros(16), good.subarray(0, 32), zeros(16), good.subarray(32)])],
  ['over SHA-384', (_good, text) => sign('sha384', Buffer.from(text), { key: p256.privateKey, dsaEncoding: 'ieee-p1363' })],
  ['of another key', (_good, text) => signatureOf(text, 'ES256', otherP256.privateKey)],
  ['over another text', (_good, text) => signatureOf(`${text}.`, 'ES256', p256.privateKey)],
]

const eddsa: Case[] = [
  ['s = 0', (good) => Buffer.concat([good.subarray(0, 32), zeros(32)])],
  ['s + L, the other s', (good) => Buffer.concat([good.subarray(0, 32), plusOrder(good.subarray(32))])],
  ['R of small order, s = 0', () => Buffer.concat([Buffer.from([1]), zeros(31), zeros(32)])],
  ['over the text without its header', (_good, text) => signatureOf(text.split('.')[1] ?? '', 'EdDSA', ed25519.privateKey)],
]

const rsaCases: Case[] = [
  ['PS256 in place of RS256', (_good, text) => signatureOf(text, 'PS256', rsa.privateKey)],
  ['over SHA-1', (_good, text) => sign('sha1', Buffer.from(text), rsa.privateKey)],
  ['over SHA-512', (_good, text) => sign('sha512', Buffer.from(text), rsa.privateKey)],
  ['1', () => Buffer.concat([zeros(255), Buffer.from([1])])],
]

const pss: Case[] = [
  ['RS256 in place of PS256', (_good, text) => signatureOf(text, 'RS256', rsa.privateKey)],
  ['a salt of no bytes', (_good, text) => sign('sha256', Buffer.from(text), { key: rsa.privateKey, padding: 6, saltLength: 0 })],
]

function flip(bytes: Buffer, index: number, bits: number): Buffer {
  const copy = Buffer.from(bytes)
  copy.writeUInt8(copy.readUInt8(index) ^ bits, index)
  return copy
}

/** s + L as 32 bytes, little-endian: the malleable twin that RFC 8032 §5.1.7 forbids. */
function plusOrder(s: Buffer): Buffer {
  const sum = BigInt(`0x${Buffer.from(s).reverse().toString('hex')}`) + BigInt(`0x${Buffer.from(edOrder).reverse().toString('hex')}`)
  return Buffer.from(sum.toString(16).padStart(64, '0'), 'hex').reverse()
}

const algorithms: [string, () => JwtFormat, () => KeyObject, Case[]][] = [
  ['ES256', () => jwt({ key: p256.privateKey }), () => p256.privateKey, ecdsa],
  ['EdDSA', () => jwt({ key: ed25519.privateKey }), () => ed25519.privateKey, eddsa],
  ['RS256', () => jwt({ key: rsa.privateKey }), () => rsa.privateKey, rsaCases],
  ['PS256', () => jwt({ key: rsa.privateKey, algorithm: 'PS256' }), () => rsa.privateKey, pss],
]

describe.each(algorithms)('signatures with %s', (alg, format, key, own) => {
  const { server, store } = storedServer({ issuer, accessTokens: format() })
  const good = machineToken(server)
  const withSignature = async (make: Case[1]) => {
    const [header = '', claims = '', signature = ''] = (await good).split('.')
    const text = `${header}.${claims}`
    return `${text}.${make(Buffer.from(signature, 'base64url'), text).toString('base64url')}`
  }

  test('F2 a right one, made with node:crypto, is accepted', async () => {
    expect(await statusOf(server.options, await withSignature((_good, text) => signatureOf(text, alg, key())))).toBe(200)
  })

  test.each([...general, ...own])('F2 refused everywhere: %s', async (_name, make) => {
    const token = await withSignature(make)
    expect(token).not.toBe(await good)
    expect(await statusOf(server.options, token)).toBe(401)
    expect((await server.introspect({ token }, basic(machine))).json).toEqual({ active: false })
    expect(await server.revoke({ token }, basic(machine))).toMatchObject({ status: 200 })
    expect(store.size).toBe(0)
  })

  test('F2 refused: other claims under a right signature, and another header', async () => {
    const [header = '', claims = '', signature = ''] = (await good).split('.')
    const widened = Buffer.from(claims, 'base64url').toString().replace('"read"', '"admin"')
    const renamed = Buffer.from(header, 'base64url').toString().replace('at+jwt', 'AT+JWT')
    expect(await statusOf(server.options, [header, Buffer.from(widened).toString('base64url'), signature].join('.'))).toBe(401)
    expect(await statusOf(server.options, [Buffer.from(renamed).toString('base64url'), claims, signature].join('.'))).toBe(401)
  })
})
