//! All shapes together: how far the nearest is from a point, and what it is made of.

use crate::hair;
use crate::head;
use crate::math::{V, smin, turn_x, turn_y, turn_z};
use crate::person::Person;
use crate::wear::{self, Near};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Material {
    Skin,
    Eye,
    Hair,
    Cloth,
    Trim,
    Metal,
    Gem,
    Horn,
}

/// From the body's frame into the head's: heads turn about a point in the neck.
pub(crate) fn to_head(who: &Person, p: V) -> V {
    let pivot = V(0.0, -0.55, -0.1);
    turn_z(turn_x(turn_y(p - pivot, -who.yaw), -who.pitch), -who.roll) + pivot
}

/// A direction in the head's frame.
pub(crate) fn turned(who: &Person, v: V) -> V {
    turn_z(turn_x(turn_y(v, -who.yaw), -who.pitch), -who.roll)
}

/// The nearest shape, by a distance that is never much too long.
pub(crate) fn nearest(who: &Person, p: V) -> Near {
    let h = to_head(who, p);
    let far = h.len() - 2.0;
    let mut near = Near::NOTHING;
    let mut skin = 1e3;
    if far < 0.3 {
        skin = head::skin(who, h);
        near = near.or(head::eyeball(who, h), Material::Eye);
        near = near.or(hair::hair(who, h), Material::Hair);
        near = near.or(hair::beard(who, h), Material::Hair);
        near = near.or(wear::earring(who, h), Material::Trim);
        let gear = wear::gear(who, h);
        near = near.or(gear.d, gear.of);
    } else {
        near = near.or(far, Material::Hair);
    }
    // Above, the neck is inside of the head.
    if p.1 < -0.1 {
        skin = smin(skin, head::neck(who, p), 0.09);
    }
    let dress = wear::dress(who, p);
    near.or(skin, Material::Skin).or(dress.d, dress.of)
}
