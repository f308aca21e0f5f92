//! An order of the builds in a component in which few of them come before something they need.
//!
//! Who comes too early is built twice, so it is builds that should be few, not edges; and the
//! softest kind of dependency must give way first. The component is taken apart one kind at a time:
//! without the softest kind it falls into smaller components, whose order among each other the
//! harder kinds fix in part. The rest is chosen greedily: whatever waits for nothing goes first,
//! what nothing waits for goes last, and when neither is left, the one that most others wait for
//! goes too early; one that would see the old version of an origin only where there is no other. Then each
//! smaller component is treated the same, with the next kind. Last, what came too early is moved back as far
//! as nothing else suffers.

use std::cmp::Reverse;
use std::ops::RangeInclusive;

use super::dense::{Dense, HARD, KINDS};
use super::early::settle;
use crate::bits::{BitMatrix, BitSet, common_ones, has};
use crate::index::number;
use crate::plan::budget::Budget;
use crate::plan::components::components;

/// Orders all builds of a component.
///
/// # Errors
/// When the budget is used up.
pub(super) fn order<B: Budget>(
    dense: &Dense,
    origins: &[usize],
    budget: &B,
) -> Result<Vec<usize>, B::Over> {
    let mut is_origin = vec![0u64; dense.count.div_ceil(64).max(1)];
    for &origin in origins {
        is_origin[origin / 64] |= 1 << (origin % 64);
    }
    let mut arrange = Arrange {
        dense,
        budget,
        is_origin,
        early: BitSet::default(),
        order: Vec::with_capacity(dense.count),
    };
    arrange.component((0..dense.count).collect(), 0)?;
    let mut order = arrange.order;
    // Moving one often lets another move; after a few rounds hardly anything changes.
    for _ in 0..3 {
        if !settle(dense, &mut order, budget)? {
            break;
        }
    }
    Ok(order)
}

struct Arrange<'a, B> {
    dense: &'a Dense,
    budget: &'a B,
    /// The origins among the builds, one bit each.
    is_origin: Vec<u64>,
    /// Builds that come too early already; one more need of theirs costs nothing.
    early: BitSet,
    order: Vec<usize>,
}

impl<B: Budget> Arrange<'_, B> {
    /// Appends builds that are strongly connected by needs of the kinds from `tier` up.
    fn component(&mut self, builds: Vec<usize>, tier: usize) -> Result<(), B::Over> {
        if builds.len() < 2 || tier >= KINDS {
            self.order.extend(builds);
            return Ok(());
        }
        let parts = parts(self.dense, &builds, tier + 1, self.budget)?;
        if parts.len() == 1 {
            return self.component(builds, tier + 1);
        }
        let mut greedy = Greedy::new(self.dense, &builds, &parts, tier, self.budget)?;
        greedy.keep_origins(&self.is_origin);
        let order = greedy.run(&mut self.early, self.budget)?;
        let mut parts: Vec<Vec<usize>> = parts;
        for part in order {
            self.component(std::mem::take(&mut parts[part]), tier + 1)?;
        }
        Ok(())
    }
}

/// The components of some builds by the kinds from `tier` up.
///
/// # Errors
/// When the budget is used up.
pub(super) fn parts<B: Budget>(
    dense: &Dense,
    builds: &[usize],
    tier: usize,
    budget: &B,
) -> Result<Vec<Vec<usize>>, B::Over> {
    let mut local = vec![u32::MAX; dense.count];
    let mut wanted = vec![0u64; dense.count.div_ceil(64).max(1)];
    for (index, &build) in (0..).zip(builds) {
        local[build] = index;
        wanted[build / 64] |= 1 << (build % 64);
    }
    let mut needs: Vec<Vec<u32>> = Vec::with_capacity(builds.len());
    for &build in builds {
        budget.check()?;
        let mut of_build = Vec::new();
        for kind in tier..KINDS {
            let inside = common_ones(dense.before[kind].row(build), &wanted);
            of_build.extend(inside.map(|need| local[need]));
        }
        needs.push(of_build);
    }
    let found = components(builds.len(), |build, edge| {
        needs[build as usize].get(edge as usize).copied()
    });
    let part = |component: usize| {
        let vertices = found.vertices(component).iter();
        let mut part: Vec<usize> = vertices.map(|&index| builds[index as usize]).collect();
        part.sort_unstable();
        part
    };
    let mut parts: Vec<Vec<usize>> = (0..found.len()).map(part).collect();
    parts.sort_unstable();
    Ok(parts)
}

/// Marks builds that are not in any of the parts being ordered.
const ELSEWHERE: u32 = u32::MAX;

/// The greedy choice among the parts of a component.
struct Greedy<'a> {
    dense: &'a Dense,
    parts: &'a [Vec<usize>],
    part_of: Vec<u32>,
    /// The kinds that may give way.
    weak: RangeInclusive<usize>,
    /// The softest kind that may not.
    firm: usize,
    firm_in: Vec<u32>,
    weak_in: Vec<u32>,
    out: Vec<u32>,
    placed: Vec<bool>,
    /// Builds in parts that are not placed yet.
    open: Vec<u64>,
    /// The origins among all builds, one bit each.
    is_origin: &'a [u64],
    /// For each part: whether it holds an origin.
    holds_origin: Vec<bool>,
    /// For each part: how many weak needs of its builds are origins of other parts that are not placed yet.
    old_origins: Vec<u32>,
}

impl<'a> Greedy<'a> {
    fn new<B: Budget>(
        dense: &'a Dense,
        builds: &[usize],
        parts: &'a [Vec<usize>],
        tier: usize,
        budget: &B,
    ) -> Result<Self, B::Over> {
        let mut part_of = vec![ELSEWHERE; dense.count];
        for (part, builds) in (0..).zip(parts) {
            for &build in builds {
                part_of[build] = part;
            }
        }
        let mut open = vec![0u64; dense.count.div_ceil(64).max(1)];
        for &build in builds {
            open[build / 64] |= 1 << (build % 64);
        }
        let mut greedy = Self {
            dense,
            parts,
            part_of,
            // The softest kind matters only while it is its turn.
            weak: if tier == 0 { 0..=0 } else { HARD..=tier },
            firm: tier + 1,
            firm_in: vec![0; parts.len()],
            weak_in: vec![0; parts.len()],
            out: vec![0; parts.len()],
            placed: vec![false; parts.len()],
            open,
            is_origin: &[],
            holds_origin: vec![false; parts.len()],
            old_origins: vec![0; parts.len()],
        };
        for &build in builds {
            budget.check()?;
            let part = greedy.part_of[build] as usize;
            let all = *greedy.weak.start()..=KINDS - 1;
            let count = |rows, kinds| {
                let others = others(&greedy.open, &greedy.part_of, rows, build, kinds);
                number(others.count())
            };
            let firm = count(&dense.before, greedy.firm..=KINDS - 1);
            let weak = count(&dense.before, greedy.weak.clone());
            let out = count(&dense.after, all);
            greedy.firm_in[part] += firm;
            greedy.weak_in[part] += weak;
            greedy.out[part] += out;
        }
        Ok(greedy)
    }

    /// Tells the origins, of which those that are ordered here count.
    fn keep_origins(&mut self, is_origin: &'a [u64]) {
        self.is_origin = is_origin;
        for origin in common_ones(&self.open, is_origin) {
            self.holds_origin[self.part_of[origin] as usize] = true;
            let after = &self.dense.after;
            for user in others(&self.open, &self.part_of, after, origin, self.weak.clone()) {
                self.old_origins[user] += 1;
            }
        }
    }

    fn run<B: Budget>(mut self, early: &mut BitSet, budget: &B) -> Result<Vec<usize>, B::Over> {
        let mut front = Vec::with_capacity(self.parts.len());
        let mut back = Vec::new();
        let count = self.parts.len();
        let mut ready: Vec<usize> = (0..count).filter(|&part| self.is_ready(part)).collect();
        let mut sinks: Vec<usize> = (0..count).filter(|&part| self.out[part] == 0).collect();
        loop {
            budget.check()?;
            if let Some(part) = ready.pop() {
                if !self.placed[part] {
                    front.push(part);
                    self.place(part, &mut ready, &mut sinks);
                }
            } else if let Some(part) = sinks.pop() {
                if !self.placed[part] {
                    back.push(part);
                    self.place(part, &mut ready, &mut sinks);
                }
            } else if let Some(part) = self.choose(early) {
                // What its own build does not install makes no build come too early.
                if self.firm > HARD {
                    for &build in &self.parts[part] {
                        if self.waits(build) {
                            early.insert(build);
                        }
                    }
                }
                front.push(part);
                self.place(part, &mut ready, &mut sinks);
            } else {
                break;
            }
        }
        front.extend(back.into_iter().rev());
        Ok(front)
    }

    fn is_ready(&self, part: usize) -> bool {
        !self.placed[part] && self.firm_in[part] == 0 && self.weak_in[part] == 0
    }

    /// Whether a build needs something weakly that is not placed yet.
    fn waits(&self, build: usize) -> bool {
        let own = self.part_of[build];
        self.weak.clone().any(|kind| {
            common_ones(self.dense.before[kind].row(build), &self.open)
                .any(|need| self.part_of[need] != own)
        })
    }

    /// Whether a part holds an origin, and whether going too early it would see an old one.
    fn origins(&self, part: usize) -> (bool, bool) {
        let holds_one = self.holds_origin[part];
        (holds_one, !holds_one && self.old_origins[part] > 0)
    }

    /// The part that goes too early for the most benefit: among those that only weak needs hold
    /// back, most needs of others per build that must be built twice.
    fn choose(&self, early: &BitSet) -> Option<usize> {
        let candidates = (0..self.parts.len())
            .filter(|&part| !self.placed[part] && self.firm_in[part] == 0)
            .map(|part| {
                let builds = &self.parts[part];
                let cost = match **builds {
                    // It waits for something, or it would be ready.
                    [build] => usize::from(!early.contains(build)),
                    _ => builds
                        .iter()
                        .filter(|&&build| !early.contains(build) && self.waits(build))
                        .count(),
                };
                (part, cost, self.origins(part))
            });
        candidates
            .max_by(|&(a, cost_a, origins_a), &(b, cost_b, origins_b)| {
                let benefit_a = u64::from(self.out[a]) * cost_b as u64;
                let benefit_b = u64::from(self.out[b]) * cost_a as u64;
                // What sees an old origin goes last.
                (origins_b.1)
                    .cmp(&origins_a.1)
                    .then_with(|| benefit_a.cmp(&benefit_b))
                    .then_with(|| origins_a.0.cmp(&origins_b.0))
                    .then_with(|| self.weak_in[b].cmp(&self.weak_in[a]))
                    .then_with(|| Reverse(a).cmp(&Reverse(b)))
            })
            .map(|(part, ..)| part)
    }

    fn place(&mut self, part: usize, ready: &mut Vec<usize>, sinks: &mut Vec<usize>) {
        let Self {
            dense,
            parts,
            part_of,
            weak,
            firm,
            firm_in,
            weak_in,
            out,
            placed,
            open,
            is_origin,
            holds_origin,
            old_origins,
        } = self;
        placed[part] = true;
        for &build in &parts[part] {
            open[build / 64] &= !(1 << (build % 64));
        }
        for &build in &parts[part] {
            let mut freed = |other: usize, firm_in: &[u32], weak_in: &[u32]| {
                if firm_in[other] == 0 && weak_in[other] == 0 {
                    ready.push(other);
                }
            };
            for other in others(open, part_of, &dense.after, build, *firm..=KINDS - 1) {
                firm_in[other] -= 1;
                freed(other, firm_in, weak_in);
            }
            for other in others(open, part_of, &dense.after, build, weak.clone()) {
                weak_in[other] -= 1;
                freed(other, firm_in, weak_in);
                if holds_origin[part] && has(is_origin, build) {
                    old_origins[other] -= 1;
                }
            }
            let all = *weak.start()..=KINDS - 1;
            for other in others(open, part_of, &dense.before, build, all) {
                out[other] -= 1;
                if out[other] == 0 {
                    sinks.push(other);
                }
            }
        }
    }
}

/// The parts on the other side of a build's needs; those placed and its own are left out.
fn others(
    open: &[u64],
    part_of: &[u32],
    rows: &[BitMatrix; KINDS],
    build: usize,
    kinds: RangeInclusive<usize>,
) -> impl Iterator<Item = usize> {
    let own = part_of[build];
    kinds
        .flat_map(move |kind| common_ones(rows[kind].row(build), open))
        .map(|other| part_of[other])
        .filter(move |&part| part != own)
        .map(|part| part as usize)
}
