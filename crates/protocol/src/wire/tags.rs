//! Tagged fields (KIP-482): optional fields behind every struct of a flexible version.

use bytes::Bytes;

use super::{Error, Reader, TAGGED_FIELDS_MAX, Writer};

/// A tagged field that this version of the schemas does not know. Messages of requests and responses skip them; data that
/// is stored keeps them, so that reading and writing it again loses nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaggedField {
    pub tag: u32,
    pub value: Bytes,
}

impl<'a> Reader<'a> {
    /// Reads a section of tagged fields. `known` reads the value of a tag that it knows and says whether it did.
    pub fn tags(
        &mut self,
        mut known: impl FnMut(u32, &mut Reader<'a>) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        for _ in 0..self.tag_count()? {
            let (tag, mut value) = self.tag()?;
            let size = value.left();
            if known(tag, &mut value)? && value.left() > 0 {
                return Err(Error::TagSize { tag, size, left: value.left() });
            }
        }
        Ok(())
    }

    /// Nearly always there are none.
    #[inline]
    pub fn skip_tags(&mut self) -> Result<(), Error> {
        if self.skip_zero() { Ok(()) } else { self.skip_some_tags() }
    }

    fn skip_some_tags(&mut self) -> Result<(), Error> {
        for _ in 0..self.tag_count()? {
            self.tag()?;
        }
        Ok(())
    }

    /// Reads a section of which no tag is known and keeps it.
    pub fn keep_tags(&mut self) -> Result<Vec<TaggedField>, Error> {
        let mut kept = Vec::new();
        for _ in 0..self.tag_count()? {
            let (tag, value) = self.tag()?;
            kept.push(TaggedField { tag, value: value.rest() });
        }
        Ok(kept)
    }

    fn tag_count(&mut self) -> Result<u32, Error> {
        const WHAT: &str = "tagged fields";
        let count = self.varint()?;
        if count as usize > TAGGED_FIELDS_MAX {
            return Err(Error::TooMany { what: WHAT, count: count as usize, limit: TAGGED_FIELDS_MAX });
        }
        // A tagged field takes at least two bytes: tag and size.
        let wanted = 2 * count as usize;
        if wanted > self.left() {
            return Err(Error::Truncated { what: WHAT, wanted, left: self.left() });
        }
        Ok(count)
    }

    fn tag(&mut self) -> Result<(u32, Reader<'a>), Error> {
        let tag = self.varint()?;
        let size = self.varint()? as usize;
        Ok((tag, self.split(size, "tagged field")?))
    }
}

/// A section of tagged fields that is being written.
#[derive(Debug)]
pub struct TagSection {
    start: usize,
    count: u32,
}

impl Writer {
    /// An empty section.
    #[inline]
    pub fn no_tags(&mut self) {
        self.u8(0);
    }

    pub fn begin_tags(&mut self) -> TagSection {
        TagSection { start: self.position(), count: 0 }
    }

    /// Appends a field; tags must ascend. `value` writes no records.
    pub fn tag(&mut self, section: &mut TagSection, tag: u32, value: impl FnOnce(&mut Writer)) {
        section.count += 1;
        self.varint(tag);
        let start = self.position();
        value(self);
        let size = self.position() - start;
        self.insert_varint(start, size);
    }

    /// Appends fields as they were kept. Tags that the section has already are known ones and not among them.
    pub fn kept_tags(&mut self, section: &mut TagSection, kept: &[TaggedField]) {
        for field in kept {
            section.count += 1;
            self.varint(field.tag);
            self.length_varint(field.value.len());
            self.raw(&field.value);
        }
    }

    /// Puts the count in front of the fields.
    pub fn end_tags(&mut self, section: TagSection) {
        self.insert_varint(section.start, section.count as usize);
    }
}
