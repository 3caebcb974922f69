// Units, counts, metrics, frames, and which parameters a chart shows.
import assert from 'node:assert/strict'
import { beforeEach, test } from 'node:test'
import { bytesOf, escaped, isText, vector } from '../../src/api/frames'
import { address, enterTenant } from '../../src/api/client'
import { isFlag, label, looksOf, usualOf } from '../../src/charts/parameters'
import { counted, maybe, t } from '../../src/i18n/text'
import { amount, grown, meanMs, parse, rate, size, sum } from '../../src/state/metrics'
import { settings } from '../../src/state/settings.svelte'
import { difference, distance, shown } from '../../src/state/units'

beforeEach(() => {
  settings.units = 'metric'
})

test('values have their decimals and a real minus, and nothing is minus zero', () => {
  assert.deepEqual([shown(-18.44, 'C'), shown(-0.04, 'C'), shown(61.6, 'km/h')], ['\u221218.4', '0.0', '62'])
})

test('a difference of temperatures has no 32 in it', () => {
  assert.deepEqual([difference(1.6, 'C'), difference(-2, 'C'), difference(0, 'C')], ['+1.6', '\u22122.0', '0.0'])
  settings.units = 'imperial'
  assert.deepEqual([shown(-20, 'C'), difference(10, 'C'), distance(100)], ['\u22124.0', '+18.0', '62 mi'])
})

test('one thing is not many, and what has no text is shown as it is', () => {
  assert.deepEqual([counted('fleet.count', 1), counted('fleet.count', 1200)], ['1 device', '1,200 devices'])
  assert.equal(maybe('no.such.key', 'as sent'), 'as sent')
  assert.equal(t('age.s', { other: 1 }), '{n} s')
})

test('metrics are read with their labels, also those that hold quotes and braces', () => {
  const metrics = parse('# HELP a\na_total{protocol="wialon",transport="tcp"} 5\na_total{protocol="odd \\" }"} 2\nb 1e3\n\nc NaN\n')
  assert.deepEqual([sum(metrics, 'a_total'), sum(metrics, 'a_total', { protocol: 'wialon' }), sum(metrics, 'b'), sum(metrics, 'none')], [7, 5, 1000, 0])
})

test('a server that was started anew has no negative rate, and nothing measured has no mean', () => {
  const look = (at: number, text: string) => ({ at, metrics: parse(text) })
  const [before, now] = [look(0, 'n 100\ns_sum 1\ns_count 10'), look(5000, 'n 150\ns_sum 2\ns_count 20')]
  assert.deepEqual([rate(before, now, 'n'), rate(now, before, 'n'), meanMs(before, now, 's'), meanMs(now, now, 's')], [10, 0, 100, undefined])
})

test('what was counted long ago is over', () => {
  const looks = (...counts: number[]) => counts.map((count, at) => ({ at, metrics: parse(`n ${count}`) }))
  assert.deepEqual([grown(looks(5, 5, 5), 'n'), grown(looks(5, 6, 8), 'n'), grown(looks(5), 'n'), grown([], 'n'), grown(looks(5, 1), 'n')], [0, 3, 0, 0, 0])
})

test('sizes and amounts are short', () => {
  assert.deepEqual([size(0), size(1023), size(1536), size(200 * 2 ** 20), size(5 * 2 ** 50)], ['0 B', '1023 B', '1.5 KiB', '200 MiB', '5120 TiB'])
  assert.deepEqual([amount(3), amount(3.26), amount(12_345), amount(2_500_000)], ['3', '3.3', '12 k', '2.5 M'])
})

test('bytes are text or hex, and each byte has an escape that a vector reads', () => {
  assert.deepEqual([...bytesOf('00ff0d')], [0, 255, 13])
  assert.deepEqual([isText(bytesOf('23 4c 23 0d 0a'.replaceAll(' ', ''))), isText(bytesOf('000102ff')), isText(bytesOf(''))], [true, false, false])
  assert.deepEqual([0x0a, 0x22, 0x5c, 0x41, 0x07].map(escaped), ['\\n', '\\"', '\\\\', 'A', '\\x07'])
})

test('a vector has what came before, what was understood and what is answered', () => {
  const decoded = { line: 1, records: [{ device: '1', protocol: 'wialon', time: '2026-01-01T00:00:00Z' }], replies: ['06'], identity: '1', notes: [], error: null }
  assert.equal(vector(['234c23', '00ff'], decoded), '> "#L#"\n> 00ff\n= {"time":"2026-01-01T00:00:00Z"}\n< 06\n')
  assert.match(vector(['00ff'], decoded), /^> 00ff\ni 1\n/)
})

test('an address has its names and its query escaped, and what is empty is left out', () => {
  assert.equal(address('/api/v1/devices/{id}/records', { path: { id: 'a/b c' }, query: { from: 0, to: undefined, limit: '', cursor: 'x&y' } }), '/api/v1/devices/a%2Fb%20c/records?from=0&cursor=x%26y')
})

test('whoever has entered a tenant asks about it, but about an account of their own', () => {
  assert.equal(enterTenant('other'), undefined)
  assert.deepEqual(['/api/v1/devices', '/api/v1/account/sessions'].map((path) => address(path)), ['/api/v1/devices?tenant=other', '/api/v1/account/sessions'])
  assert.equal(enterTenant(undefined), 'other')
  assert.equal(address('/api/v1/devices'), '/api/v1/devices')
})

test('a chart shows temperatures first, and at most nine of them', () => {
  const names = ['fuel.volume', 'position.speed', 'temperature.1', 'reefer.supply.air.temperature.1', 'raw.x', 'engine.rpm']
  assert.deepEqual(usualOf(names), ['reefer.supply.air.temperature.1', 'temperature.1', 'position.speed', 'fuel.volume'])
  assert.equal(usualOf(Array.from({ length: 20 }, (_, at) => `temperature.${at}`)).length, 9)
})

test('no two lines of a chart are drawn alike, and those that have a colour of their own keep it', () => {
  const zones = [1, 2, 3].flatMap((zone) => ['setpoint', 'supply.air', 'return.air', 'evaporator'].map((name) => (name === 'setpoint' ? `reefer.setpoint.temperature.${zone}` : `reefer.${name}.temperature.${zone}`)))
  const probes = Array.from({ length: 9 }, (_, at) => `temperature.${at + 1}`)
  for (const names of [[...zones, ...probes], probes, ['temperature.1', 'reefer.supply.air.temperature.1', 'reefer.return.air.temperature.1']]) {
    const looks = looksOf(names)
    assert.equal(new Set(looks.map(({ colour, dash }) => `${colour} ${dash.join()}`)).size, names.length)
    names.forEach((name, at) => /supply/.test(name) && assert.equal(looks[at]?.colour, '--cold-1'))
  }
  assert.deepEqual(looksOf(['temperature.1', 'temperature.2']), [{ colour: '--cold-1', dash: [] }, { colour: '--cold-2', dash: [] }])
  assert.notEqual(looksOf(['temperature.1', 'reefer.supply.air.temperature.1'])[0]?.colour, '--cold-1')
})

test('names are short for people, and what is on or off is a flag', () => {
  assert.deepEqual([label('reefer.supply.air.temperature.1'), label('door.status'), label('temperature')], ['supply air 1', 'door', 'temperature'])
  assert.deepEqual([isFlag('', [0, 1, undefined]), isFlag('', [2]), isFlag('C', [0])], [true, false, false])
})
