// The map's colours, for light and for dark: land and water stay behind what is shown on them.

export interface Palette {
  water: string
  land: string
  border: string
  river: string
  coast: string
  place: string
  country: string
  halo: string
  /** What maps of a file have beside: woods and parks, towns, houses, and roads by how many they carry. */
  green: string
  built: string
  building: string
  casing: string
  road: string
  mainRoad: string
  rail: string
  roadName: string
  waterName: string
  ink: string
  surface: string
  moving: string
  stopped: string
  silent: string
  alarm: string
  accent: string
}

const light: Palette = {
  water: '#dbe4ea', land: '#f6f6f3', border: '#c2bfc9', river: '#cfdbe3', coast: '#c3d0d9',
  place: '#565f68', country: '#8a8794', halo: '#f6f6f3',
  green: '#e8eee3', built: '#efeeeb', building: '#e3e1dc', casing: '#d3d1cb', road: '#ffffff', mainRoad: '#dcd9d2', rail: '#cfccc6', roadName: '#686f77', waterName: '#5c7688',
  ink: '#14171a', surface: '#ffffff',
  moving: '#18794a', stopped: '#59626c', silent: '#8d969f', alarm: '#c02626', accent: '#1d57c4'
}
const dark: Palette = {
  water: '#0f1317', land: '#1b1f24', border: '#3c4049', river: '#12181e', coast: '#2a323a',
  place: '#9aa4ae', country: '#6f7783', halo: '#1b1f24',
  green: '#1a231f', built: '#20252b', building: '#272c33', casing: '#14171b', road: '#2b3138', mainRoad: '#3d444d', rail: '#343a42', roadName: '#8b949e', waterName: '#6b8499',
  ink: '#e9ecef', surface: '#181b1f',
  moving: '#4cc38a', stopped: '#b4bcc5', silent: '#78828d', alarm: '#ff7a70', accent: '#7fa8f8'
}

export const palette = (isDark: boolean): Palette => (isDark ? dark : light)
