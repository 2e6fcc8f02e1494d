//! [`Few`]: an ordered map that is small when it holds little.
//!
//! Most groups have committed for a handful of partitions, and a B-tree would take a kilobyte for the first. A sorted list
//! costs what is in it, until moving its elements would cost more than a tree.

use std::borrow::Borrow;
use std::collections::BTreeMap;

/// Entries of a list; one more makes it a tree for good.
const LIST_MAX: usize = 64;

#[derive(Clone, Debug)]
pub(crate) enum Few<K, V> {
    List(Vec<(K, V)>),
    // Boxed so that what is small stays small.
    #[allow(clippy::box_collection)]
    Tree(Box<BTreeMap<K, V>>),
}

impl<K, V> Default for Few<K, V> {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

impl<K: Ord, V> Few<K, V> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::List(list) => list.len(),
            Self::Tree(tree) => tree.len(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        match self {
            Self::List(list) => list.get(place(list, key).ok()?).map(|(_, value)| value),
            Self::Tree(tree) => tree.get(key),
        }
    }

    pub(crate) fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        match self {
            Self::List(list) => {
                let place = place(list, key).ok()?;
                list.get_mut(place).map(|(_, value)| value)
            }
            Self::Tree(tree) => tree.get_mut(key),
        }
    }

    pub(crate) fn insert(&mut self, key: K, value: V) {
        match self {
            Self::List(list) => match place(list, &key) {
                Ok(place) => {
                    if let Some(entry) = list.get_mut(place) {
                        entry.1 = value;
                    }
                }
                Err(_) if list.len() >= LIST_MAX => {
                    let mut tree: BTreeMap<K, V> = std::mem::take(list).into_iter().collect();
                    tree.insert(key, value);
                    *self = Self::Tree(Box::new(tree));
                }
                Err(place) => {
                    if list.len() == list.capacity() {
                        // A list of its own would begin with room for four.
                        list.reserve_exact((list.len() / 2).max(1));
                    }
                    list.insert(place, (key, value));
                }
            },
            Self::Tree(tree) => {
                tree.insert(key, value);
            }
        }
    }

    pub(crate) fn remove<Q: Ord + ?Sized>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
    {
        match self {
            Self::List(list) => {
                if let Ok(place) = place(list, key) {
                    list.remove(place);
                }
            }
            Self::Tree(tree) => {
                tree.remove(key);
            }
        }
    }

    /// In the order of the keys.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        let (list, tree) = match self {
            Self::List(list) => (Some(list), None),
            Self::Tree(tree) => (None, Some(tree)),
        };
        let list = list.into_iter().flatten().map(|(key, value)| (key, value));
        list.chain(tree.into_iter().flat_map(|tree| tree.iter()))
    }
}

fn place<K: Borrow<Q>, V, Q: Ord + ?Sized>(list: &[(K, V)], key: &Q) -> Result<usize, usize> {
    list.binary_search_by(|(own, _)| own.borrow().cmp(key))
}

impl<K: Ord, V: PartialEq> PartialEq for Few<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_map(steps in proptest::collection::vec((0..200_u32, proptest::option::of(any::<u8>())), 0..400)) {
            let mut few = Few::default();
            let mut map = BTreeMap::new();
            for (key, value) in steps {
                match value {
                    Some(value) => {
                        few.insert(key, value);
                        map.insert(key, value);
                    }
                    None => {
                        few.remove(&key);
                        map.remove(&key);
                    }
                }
                prop_assert_eq!(few.get(&key), map.get(&key));
                prop_assert_eq!(few.get_mut(&key), map.get_mut(&key));
                prop_assert_eq!((few.len(), few.is_empty()), (map.len(), map.is_empty()));
            }
            prop_assert!(few.iter().eq(map.iter()));
            let list = Few::List(map.into_iter().collect());
            prop_assert_eq!(few, list);
        }
    }

    #[test]
    fn one_entry_has_room_for_one() {
        let mut few = Few::default();
        few.insert(1, 'a');
        let Few::List(list) = &few else { panic!() };
        assert_eq!(list.capacity(), 1);
    }
}
