// Alarms by the names that people have for them.
import { maybe, t } from './text'

/** A number is a code of a refrigeration unit, as its maker writes it. */
const CODE = /^\d+$/

/** An alarm as people say it. One that the table does not know is at least without its underscores. */
export function alarmName(code: string): string {
  return maybe(`alarm.${code}`, CODE.test(code) ? t('alarm.code', { code }) : code.replaceAll('_', ' '))
}

/** Several, as they stand in a list. */
export function alarmNames(codes: readonly unknown[]): string {
  return codes.map((code) => alarmName(String(code))).join(', ')
}
