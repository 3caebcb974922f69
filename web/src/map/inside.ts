// What lies where on the map. A box is west, south, east, north, and may reach over the 180th meridian.

/** Whether a place is in a box, or so many degrees beside it. */
export function isInside([x = NaN, y = NaN]: readonly number[], [west = NaN, south = NaN, east = NaN, north = NaN]: readonly number[], margin = 0): boolean {
  const [isEast, isWest] = [x >= west - margin, x <= east + margin]
  return (west <= east ? isEast && isWest : isEast || isWest) && y >= south - margin && y <= north + margin
}

/** The cluster that a place is in: of several that are so near, the one whose middle is nearest. */
export function clusterOf<C extends { bounds: readonly number[]; centre: readonly number[] }>(place: readonly number[], clusters: readonly C[], margin: number): C | undefined {
  const [x = 0, y = 0] = place
  const far = ({ centre: [cx = 0, cy = 0] }: C) => Math.hypot(cx - x, cy - y)
  return clusters.filter(({ bounds }) => isInside(place, bounds, margin)).sort((a, b) => far(a) - far(b))[0]
}
